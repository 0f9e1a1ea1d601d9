"""Run the unit tests and suites that changed files lead to: `make test-changed`.

    python -m tests.changed [--since COMMIT] [pytest's own words …]

What changed is what differs from the commit (by default the branch's beginning on `main`, else HEAD), and what git does
not know yet. A changed test is run. A changed source file runs the unit tests that mirror it, or its directory's, and
every test that imports it; a changed piece of the tests runs every test that imports it, also through others, and the
directory of a conftest.py that does. Tests that
only start the programs (integration, conformance, e2e) are not found so: before a merge, `make test` runs everything.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("api", "oci", "builder", "operator", "kubectl")


def affected(changed: Iterable[str], root: Path = ROOT) -> list[str]:
    """Return the test files and directories to run, sorted.

    Args:
        changed: Paths from the root of the repository, with slashes; files may be gone.
        root: The repository.
    """
    imports = {path: set(_imported(path)) for path in (root / "tests").rglob("*.py")}
    found: set[Path] = set()
    for name in changed:
        path = root / name
        if path.suffix != ".py":
            continue
        if path.is_relative_to(root / "tests"):
            users = {*_users(_module(name), imports, root), *([path] if path.exists() else [])}
            found |= {each.parent if each.name == "conftest.py" else each for each in users if _runs(each)}
        elif name.partition("/")[0] in SOURCES:
            module = _module(name.partition("/")[2])
            found |= {each for each, used in imports.items() if _is_test(each) and module in used}
            found |= _mirrors(name.partition("/")[2], root)
    return sorted(str(path.relative_to(root)) for path in found if not _inside_another(path, found))


def _mirrors(name: str, root: Path) -> set[Path]:
    """Return the unit tests of a source file; where it has none of its own, those of the nearest directory with any."""
    path = root / "tests/unit" / name
    own = path.with_name(f"test_{path.name}")
    if own.exists():
        return {own}
    folder = next(each for each in path.parents if each.is_dir())
    return {folder} if folder != root / "tests/unit" else set()


def _users(module: str, imports: dict[Path, set[str]], root: Path) -> set[Path]:
    """Return the files of the tests that import a module, also through others."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        current = waiting.pop()
        new = {path for path, used in imports.items() if current in used} - found
        found |= new
        waiting += [_module(str(path.relative_to(root))) for path in new]
    return found


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_")


def _runs(path: Path) -> bool:
    return _is_test(path) or path.name == "conftest.py"


def _inside_another(path: Path, others: set[Path]) -> bool:
    return any(parent in others for parent in path.parents)


def changed_files(since: str | None) -> list[str]:
    """Return the paths that differ from a commit, and those that git does not know."""
    base = since or _git("merge-base", "HEAD", "main").strip() or "HEAD"
    return [
        *_git("diff", "--name-only", base).splitlines(),
        *_git("ls-files", "-o", "--exclude-standard").splitlines(),
    ]


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout


def main() -> int:
    """Run what the command line asks for and return pytest's exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--since", metavar="COMMIT", help="compare with this commit")
    options, words = parser.parse_known_args()
    tests = affected(changed_files(options.since))
    if not tests:
        print("no test is known to depend on what changed: `make test` runs everything", file=sys.stderr)
        return 0
    print("\n".join(tests), file=sys.stderr, flush=True)
    return subprocess.run([sys.executable, "-m", "pytest", *tests, *words], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
