"""For all tests of callbacks: losses.png, most of a short run's time, is drawn only where a test's name asks for it."""

from __future__ import annotations

import pytest

from gan_zoo import media


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "losses_png" not in request.node.name:
        monkeypatch.setattr(media, "loss_curves", lambda metrics, path: None)
