"""Build the wheel and import it in an empty environment: `python -m tests.wheel`."""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOREIGN = ("lab", "stacks", "tests", "examples", "policy")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(ROOT)], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
        stowaways = sorted(tops & set(FOREIGN))
        if stowaways:
            print(f"{wheel.name} carries {', '.join(stowaways)}", file=sys.stderr)
            return 1
        environment = Path(folder) / "empty"
        venv.create(environment, with_pip=True)
        python = environment / "bin/python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[aws]"], check=True)
        check = "import spotbatch, spotbatch.clouds.aws_lambda, pulumi_spotbatch.aws as aws; print(', '.join(sorted(aws.__all__)))"
        subprocess.run([python, "-c", check], check=True, cwd=folder)
        subprocess.run([environment / "bin/spotbatch", "--help"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        print(f"{wheel.name}: imported in an empty environment")
    return 0


if __name__ == "__main__":
    sys.exit(main())
