"""Recipe for Conan 2: `conan create . --build=missing -s compiler.cppstd=20`."""

import re
from pathlib import Path

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir


class whence(ConanFile):
    name = "whence"
    description = "C++20 coroutine networking on io_uring that knows where a connection comes from"
    license = "BSL-1.0"
    topics = ("coroutines", "io_uring", "networking", "proxy-protocol")
    package_type = "static-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"fPIC": [True, False]}
    default_options = {"fPIC": False, "liburing/*:shared": False}
    exports_sources = "CMakeLists.txt", "LICENSE", "cmake/*", "framework/*"

    def set_version(self):
        text = load(self, str(Path(self.recipe_folder) / "CMakeLists.txt"))
        self.version = re.search(r"project\(whence VERSION ([\d.]+)", text).group(1)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("liburing/[>=2.5 <3]")
        # Compiled into the library.
        self.requires("asio/[>=1.28 <2]", visible=False)

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("whence needs Linux: it stands on io_uring")
        check_min_cppstd(self, 20)

    def generate(self):
        liburing = self.dependencies["liburing"].cpp_info.aggregated_components()
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables |= {
            "WHENCE_BUILD_EXAMPLES": False,
            "WHENCE_BUILD_TESTS": False,
            "WHENCE_BUILD_BENCH": False,
            "WHENCE_BUNDLE_LIBURING": False,
            "WHENCE_LIBURING_INCLUDE_DIR": liburing.includedirs[0],
            "WHENCE_ASIO_INCLUDE_DIR": self.dependencies["asio"].cpp_info.aggregated_components().includedirs[0],
            "WHENCE_LIBURING_LIBRARY": str(Path(liburing.libdirs[0]) / "liburing.a"),
        }
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, str(Path(self.package_folder) / "licenses"))
        for folder in ("lib/cmake", "lib/pkgconfig", "share"):  # Conan writes its own
            rmdir(self, str(Path(self.package_folder) / folder))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "whence")
        self.cpp_info.set_property("cmake_target_name", "whence::whence")
        self.cpp_info.set_property("pkg_config_name", "whence")
        self.cpp_info.libs = ["whence"]
        self.cpp_info.system_libs = ["pthread"]
        if self.settings.compiler == "gcc":
            self.cpp_info.cxxflags = ["-Wno-subobject-linkage"]
