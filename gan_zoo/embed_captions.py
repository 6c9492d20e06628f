"""Computes the embeddings of all captions of a data set: python -m gan_zoo.embed_captions data=flowers encoder=FILE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gan_zoo.command import command

if TYPE_CHECKING:
    from torch import Tensor

    from gan_zoo.vocabulary import Vocabulary

FOREIGN = "sentence-transformers:"


@command
def main(
    *,
    data: str,
    encoder: str,
    output: str,
    overrides: list[str] | None = None,
    pictures: bool = False,
    device: str = "cpu",
) -> Path:
    """Writes one vector for each caption, with the encoder's name and hash and the captions' fingerprint; a model reads them with
    data.embeddings=FILE model.text.source=embedding model.text.encoder=null model.text.size=E.

    data: a choice of conf/data with captions.
    encoder: a file of train_text_encoder, or sentence-transformers:NAME_OR_FOLDER (all-MiniLM-L6-v2, clip-ViT-B-32, ...), which
        needs the extra gan-zoo[text].
    output: .safetensors, or .h5 (the extra gan-zoo[hdf5]).
    overrides: of the data, such as overrides=[data.root=DIR].
    pictures: true writes the pictures and the captions too, as one HDF5 file in the layout that data=caption_hdf5 reads.
    device: cpu, cuda, mps.
    """
    import torch

    from gan_zoo.data.caption_embeddings import write_embeddings
    from gan_zoo.data.caption_hdf5 import write_captions
    from gan_zoo.schema import ConfigError
    from gan_zoo.train_text_encoder import captioned_data

    if pictures and Path(output).suffix not in (".h5", ".hdf5"):
        raise ConfigError(f"output={output}: with pictures=true one .h5 or .hdf5 file is written")
    chosen = embedder(encoder, device)
    items = captioned_data(data, overrides or [])
    texts = items.table.texts
    parts = [chosen.embed(texts[i : i + 256]) for i in range(0, len(texts), 256)]
    embedding = torch.cat(parts)
    if pictures:
        said = {"encoder": chosen.name, "encoder_hash": chosen.digest}
        write_captions(output, items, embedding, said)
    else:
        write_embeddings(output, embedding, texts, encoder=chosen.name, encoder_hash=chosen.digest)
    print(
        f"{output}: {len(texts):,} captions, {embedding.shape[1]} values each, by {chosen.name} {chosen.digest}"
    )
    return Path(output)


class Embedder(NamedTuple):
    """embed: captions -> float32 [N, E] on the CPU. digest: of the weights. vocabulary: None where every word is known."""

    name: str
    digest: str
    embed: Callable[[Sequence[str]], Tensor]
    vocabulary: Vocabulary | None = None


def embedder(encoder: str, device: str = "cpu") -> Embedder:
    """The encoder of a file of train_text_encoder, or of a name of sentence-transformers."""
    return _foreign(encoder, device) if encoder.startswith(FOREIGN) else _own(encoder, device)


def _own(path: str, device: str) -> Embedder:
    import torch

    from gan_zoo.nn import joint_embedding

    trained = joint_embedding.read(path)
    network = trained.text.to(device)

    def embed(captions: Sequence[str]) -> Tensor:
        with torch.no_grad():
            return network(trained.tokens(captions).long().to(device)).float().cpu()

    name = f"{trained.about['name']} of {trained.about['data']}"
    return Embedder(name, trained.digest, embed, trained.vocabulary)


def _foreign(encoder: str, device: str) -> Embedder:
    import torch

    from gan_zoo.extras import needed
    from gan_zoo.nn.joint_embedding import digest_of
    from gan_zoo.schema import ConfigError

    name = encoder.removeprefix(FOREIGN)
    library = needed("sentence_transformers", f"encoder={encoder}", "take a file of train_text_encoder")
    try:
        network: Any = library.SentenceTransformer(name, device=device, trust_remote_code=False)
    except Exception as failure:  # the library raises whatever its hub does
        raise ConfigError(
            f"encoder={encoder}: sentence-transformers cannot load it ({type(failure).__name__}); give a model that it has "
            f"on this machine, or its folder"
        ) from failure

    def embed(captions: Sequence[str]) -> Tensor:
        return torch.from_numpy(network.encode(list(captions), show_progress_bar=False)).float()

    return Embedder(name, digest_of(dict(network.state_dict())), embed)


if __name__ == "__main__":
    main()
