"""Export the networks that ship, from their float16 weights to ONNX files that onnxruntime runs.

    python scripts/export_networks.py

Reads and writes mask_template/weights and perturbation_gen/weights. Large weights stay float16 in the ONNX too.
"""

from pathlib import Path

import click

import mask_template.model
import perturbation_gen.model
from mask_template.network import WEIGHTS as MASK_WEIGHTS
from perturbation_gen.generator import WEIGHTS as GENERATOR_WEIGHTS
from veilkey.export import export_network
from veilkey.weights import load_weights


@click.command()
def main() -> None:
    networks = [
        (mask_template.model.build(1), MASK_WEIGHTS / "network.h5"),
        (perturbation_gen.model.build_generator(1), GENERATOR_WEIGHTS / "generator.h5"),
    ]
    for model, weights in networks:
        path = weights.with_suffix(".onnx")
        export_network(load_weights(model, weights), path)
        click.echo(f"{path.relative_to(Path.cwd())}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
