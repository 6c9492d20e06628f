"""What an evaluation leaves behind: evaluation.json, pictures, the blind test, report.html."""
