"""Prints the versions that `uv.lock` names, as constraints for pip; without those that differ between platforms."""

import tomllib
from collections import Counter
from pathlib import Path

with (Path(__file__).parents[1] / "uv.lock").open("rb") as file:
    packages = [it for it in tomllib.load(file)["package"] if "registry" in it["source"]]
often = Counter(it["name"] for it in packages)
for package in packages:
    if often[package["name"]] == 1:
        print(f"{package['name']}=={package['version']}")
