// Force-included into every translation unit (cmake/compile_options.cmake). The C library declares a function atoll() in
// the global namespace, which forbids a namespace of that name, ours and the one that protoc makes of package atoll.v1.
// So the library's headers come first, and from then on the word means our namespace, atoll_ns to the linker.
#pragma once

#include <cstdlib>
#include <stdlib.h>
#define atoll atoll_ns
