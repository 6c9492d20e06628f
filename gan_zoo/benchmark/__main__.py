"""python -m gan_zoo.benchmark"""

from __future__ import annotations

from gan_zoo.benchmark import main

if __name__ == "__main__":
    main()
