// Force-included into every translation unit (cmake/compile_options.cmake). The C library declares a function atoll() in
// the global namespace, which forbids a namespace of that name, ours and the one that protoc makes of package atoll.v1.
// Nobody here calls that function, so it is declared under another name, once, before anything else can declare it.
#pragma once

#define atoll c_library_atoll
#include <cstdlib>
#include <stdlib.h>
#undef atoll
