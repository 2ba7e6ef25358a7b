"""python -m tools.serving figures|load|chaos: `ropewalk serve` under load, on this machine.

    figures   tokens per second and times to the first token beside llama.cpp's server (tools/serving/requirements.txt)
    load      64 streams of mixed lengths: nothing is lost, memory is flat
    chaos     2,000 killed clients, 200 half-open, 5,000 malformed requests, 50 drains

Needs bin/ropewalk and bin/http_load of a build (-DROPEWALK_BENCH=ON). Nothing else should run beside `figures`.
"""

import argparse
import importlib
import pathlib


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("figures", "load", "chaos"))
    parser.add_argument("--build", default="build/release", help="a build's folder")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/serving"), help="of models")
    parser.add_argument("--shapes", nargs="+", default=["mini", "tinyllama-1.1b"], help="of figures")
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 8, 32, 64], help="of figures")
    parser.add_argument("--minutes", type=float, default=10, help="of load")
    parser.add_argument("--percent", type=float, default=100, help="of chaos's counts")
    asked = parser.parse_args()
    asked.program, asked.http_load = f"{asked.build}/bin/ropewalk", f"{asked.build}/bin/http_load"
    asked.work.mkdir(parents=True, exist_ok=True)
    importlib.import_module("." + asked.what, __package__).run(asked)


if __name__ == "__main__":
    main()
