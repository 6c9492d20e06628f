"""What an evaluation leaves behind: evaluation.json, pictures, the blind test, report.html."""

from typing import Literal

FeatureChoice = Literal["auto", "digits", "pixels", "inception"]
