from __future__ import annotations

import hashlib
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gan_zoo.metrics.features import (
    WeightsError,
    checked_weights,
    digits_features,
    extract,
    file_sha256,
    inception,
    raw_pixels,
    state_sha256,
    stream,
    torchvision_features,
    user_features,
)
from gan_zoo.metrics.frechet import frechet_distance
from gan_zoo.metrics.inception import InceptionV3, Output, resize_as_tensorflow_1


def pictures(n: int = 5, channels: int = 3, side: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, channels, side, side), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def inception_state() -> dict[str, torch.Tensor]:
    """Random weights of the right names and shapes; batch norm's statistics are moved off their defaults."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = InceptionV3()
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)  # signals that live to the last layer
        for name, buffer in network.named_buffers():
            if "running" in name:
                buffer.uniform_(*((0.5, 1.5) if "var" in name else (-0.3, 0.3)))
    return network.state_dict()


def test_inception_has_the_published_layers(inception_state):
    # torchvision's inception_v3(aux_logits=False) has 23,834,568 parameters; 8 classes more are 8 x 2049
    network = InceptionV3()
    assert sum(p.numel() for p in network.parameters()) == 23_834_568 + 8 * 2049
    assert network.Mixed_5d.width == 288 and network.Mixed_6a.width == 768
    assert network.Mixed_7a.width == 1280 and network.Mixed_7c.width == 2048


def test_inception_equals_torch_fidelitys_on_the_same_weights(inception_state, tmp_path):
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    torch.save(inception_state, tmp_path / "weights.pth")
    names: list[Output] = ["2048", "logits_unbiased", "logits"]
    theirs = fidelity.FeatureExtractorInceptionV3("x", names, str(tmp_path / "weights.pth"))
    expected = dict(zip(names, theirs(pictures(2)), strict=True))
    for name in names:
        ours = inception(tmp_path / "weights.pth", output=name, sha256=None)
        scale = float(expected[name].std())
        assert scale > 0.05
        torch.testing.assert_close(ours(pictures(2)), expected[name], rtol=0, atol=1e-4 * scale)


def test_inceptions_smooth_features_are_those_of_bytes_and_follow_a_small_step(inception_state, tmp_path):
    torch.save(inception_state, tmp_path / "weights.pth")
    features = inception(tmp_path / "weights.pth", sha256=None)
    whole = pictures(2).float() / 127.5 - 1
    torch.testing.assert_close(features.smooth(whole), features(whole), rtol=1e-3, atol=1e-3)
    step = 1e-3 * torch.randn(whole.shape, generator=torch.Generator().manual_seed(1))
    near = (0.9 * whole, 0.9 * whole + step, 0.9 * whole + 2 * step)
    one, two = ((features.smooth(far) - features.smooth(near[0])).norm() for far in near[1:])
    assert one > 0 and float(two / one) == pytest.approx(2, rel=0.1)
    assert torch.equal(raw_pixels().smooth(whole), raw_pixels()(whole))


def test_the_resize_is_tensorflow_1s():
    # 2 -> 4 without half-pixel offset: positions 0, 0.5, 1, 1.5 (clamped to the last pixel)
    row = torch.tensor([0.0, 10.0]).expand(1, 1, 2, 2)
    assert resize_as_tensorflow_1(row, 4)[0, 0, 0].tolist() == [0.0, 5.0, 10.0, 10.0]
    column = row.mT
    assert resize_as_tensorflow_1(column, 4)[0, 0, :, 0].tolist() == [0.0, 5.0, 10.0, 10.0]


def test_inceptions_weights_are_refused_before_they_are_opened_when_the_hash_is_wrong(tmp_path):
    (tmp_path / "evil.pth").write_bytes(b"not what it says")
    with pytest.raises(WeightsError, match="SHA-256 is"):
        inception(tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="download=True"):
        inception(tmp_path / "missing.pth")


class Canary:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_code_in_a_weight_file_does_not_run(tmp_path):
    file, canary = tmp_path / "weights.pth", tmp_path / "canary"
    torch.save({"weight": Canary(str(canary))}, file)
    with pytest.raises(pickle.UnpicklingError):
        checked_weights(file, None)
    assert not canary.exists()


def test_weights_come_from_torch_and_safetensors_files_with_their_hash(tmp_path):
    state = {"weight": torch.eye(3)}
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        file = tmp_path / name
        found, digest = checked_weights(file, file_sha256(file).upper())
        assert torch.equal(found["weight"], torch.eye(3))
        assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="dictionary of tensors, got list"):
        checked_weights(tmp_path / "list.pth", None)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"weight": torch.eye(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="do not fit InceptionV3"):
        inception(tmp_path / "other.pth", sha256=None)


def test_features_do_not_depend_on_the_batch_and_stream_alike():
    features = raw_pixels(side=8)
    whole = extract(pictures(), features, batch=64)
    assert whole.shape == (5, 192) and whole.dtype == torch.float32
    assert torch.equal(extract([pictures()[:1], pictures()[1:]], features, batch=2), whole)
    streamed = frechet_distance(
        stream(pictures(), features, batch=2), stream(pictures().flip(3), features, batch=3)
    )
    assert streamed == pytest.approx(frechet_distance(whole, extract(pictures().flip(3), features)), abs=1e-5)


def test_a_users_network_is_identified_by_its_weights_and_put_into_eval_mode():
    last = nn.Linear(48, 7)
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), last)
    features = user_features(module, "mine", side=4)
    assert torch.equal(features(pictures()), features(pictures())) and features(pictures()).shape == (5, 7)
    before = state_sha256(module)
    assert features.sha256 == before and len(before) == 64
    with torch.no_grad():
        last.weight[0, 0] += 1e-3
    assert state_sha256(module) != before


def test_a_torchvision_network_gives_the_node_asked_for():
    features = torchvision_features("squeezenet1_1", "features", random_seed=1, side=64)
    found = features(pictures(2, channels=1))
    assert found.shape == (2, 512 * 3 * 3) and "random1" in features.name
    again = torchvision_features("squeezenet1_1", "features", random_seed=1, side=64)
    assert again.sha256 == features.sha256 and torch.equal(again(pictures(2, channels=1)), found)
    with pytest.raises(ValueError, match="either path"):
        torchvision_features("squeezenet1_1", "features")


def test_digit_features_take_one_channel_at_a_time():
    grey, colour = pictures(2, 1, 32), pictures(2, 1, 32).expand(-1, 3, -1, -1)
    features = digits_features()
    assert features(grey).shape == (2, 64)
    torch.testing.assert_close(features(colour), features(grey).repeat(1, 3))
