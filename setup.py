"""Builds the one native part of Suiren: the PyTorch device shim."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import setup

NO_COMPILER = (
    "Suiren's device shim needs a C++20 compiler and none was found: "
    "install g++ 10 or newer (Debian/Ubuntu: apt-get install g++; macOS: xcode-select --install), "
    "or install a prebuilt wheel made with `make wheel`."
)


def shim() -> tuple[list[object], dict[str, object]]:
    """The extension and the command that builds it; exits in one sentence without a compiler."""
    if not any(shutil.which(name) for name in ("g++", "c++", "clang++")):
        sys.exit(NO_COMPILER)
    from torch.utils.cpp_extension import BuildExtension, CppExtension

    flags = ["-O2", "-g0", "-Wno-unused-function"]
    extension = CppExtension(
        "suiren.torch._shim",
        ["suiren/torch/shim/module.cpp"],
        depends=sorted(str(p) for p in Path("suiren/torch/shim").glob("*.h")),
        extra_compile_args=flags,
    )
    return [extension], {"build_ext": BuildExtension.with_options(use_ninja=False)}


WANTS_BUILD = any(
    word in sys.argv
    for word in ("build_ext", "bdist_wheel", "install", "develop", "editable_wheel")
)
extensions, commands = shim() if WANTS_BUILD else ([], {})
setup(ext_modules=extensions, cmdclass=commands)
