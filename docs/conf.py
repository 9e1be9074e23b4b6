"""Sphinx: how the pages are built. `make docs` treats every warning as an error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import shapecluster

project = "shapecluster"
author = "The shapecluster developers"
copyright = f"2026, {author}"
version = release = shapecluster.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "matplotlib.sphinxext.mathmpl",  # formulas as pictures: the pages load nothing from elsewhere
    "numpydoc",
]
exclude_patterns = ["_build", "api/generated/*.inc"]
templates_path = ["_templates"]
default_role = "literal"
nitpicky = True
# Pages of others are not ours to link to.
nitpick_ignore_regex = [("py:.*", r"(sklearn|pandas|numpy|matplotlib|yfinance)\..*")]

autosummary_generate = True
autosummary_ignore_module_all = False  # a page for each package lists its `__all__`
autosummary_imported_members = True
autodoc_typehints = "none"  # types stand in the docstrings, with shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

mathmpl_fontsize = 15.0
mathmpl_srcset = ["2x"]

html_theme = "pydata_sphinx_theme"
html_title = f"shapecluster {version}"
html_static_path = ["_static"]
html_css_files = ["shapecluster.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "examples": []}
html_theme_options = {
    "logo": {"text": "shapecluster"},
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# -- examples/*.py run while the pages are built; docs/examples.rst shows what they print and draw -------

_DOCS = Path(__file__).resolve().parent
_RUN = _DOCS / "_build" / "examples"


def run_examples(app: Any) -> None:
    """Run every example in docs/_build/examples; what it prints goes to NAME.txt beside its pictures."""
    _RUN.mkdir(parents=True, exist_ok=True)
    for script in sorted((_DOCS.parent / "examples").glob("*.py")):
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            cwd=_RUN,
            env=os.environ | {"MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{script.name} failed:\n{done.stderr}")
        (_RUN / f"{script.stem}.txt").write_text(done.stdout, encoding="utf-8")


# -- docstrings say `KSweep` and "shape (n_features_in_,)", as one reads them in a terminal ---------------


def resolve_short_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Take a name that was not found for the one public name that ends in it."""
    domain = env.get_domain("py")
    short = node.get("reftarget", "").split(".")[-1]
    found = [name for name in domain.objects if name.split(".")[-1] == short and "._" not in name]
    if len(found) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, content)


def escape_underscores(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep the names of fitted attributes in shapes from being read as links."""
    lines[:] = [
        re.sub(r"(?<=[(, ])([a-z]\w*)_(?=[,)])", r"\1\_", line) if "shape (" in line else line
        for line in lines
    ]


def setup(app: Any) -> None:
    app.connect("builder-inited", run_examples)
    app.connect("missing-reference", resolve_short_name)
    app.connect("autodoc-process-docstring", escape_underscores, priority=900)  # after numpydoc
