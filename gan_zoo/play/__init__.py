"""The parts that gan_zoo.gan puts together to a play; variants need none of them by name."""
