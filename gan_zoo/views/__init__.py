"""What can be shown of a trained model: gan_zoo.sample's views, one file a kind."""
