"""What pyproject.toml cannot say: every build begins in an empty folder.

setuptools copies the package to build/lib and ships all that lies there, so a model that was deleted since the last
build would be shipped again. The folder is therefore a new one each time, and gone afterwards."""

from tempfile import TemporaryDirectory

from setuptools import setup
from setuptools.command.build import build


class FreshBuild(build):
    def initialize_options(self) -> None:
        super().initialize_options()
        self._folder = TemporaryDirectory(ignore_cleanup_errors=True)
        self.build_base = self._folder.name


setup(cmdclass={"build": FreshBuild})
