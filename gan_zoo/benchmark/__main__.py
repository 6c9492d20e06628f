"""Trains and scores every row of a table of experiments/: python -m gan_zoo.benchmark experiment=mode_collapse budget=quick."""

from __future__ import annotations

from gan_zoo.benchmark import main

if __name__ == "__main__":
    main()
