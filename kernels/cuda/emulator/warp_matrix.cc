// The warp's matrix instructions: fragments as in tensor_core.h.

#include <cmath>
#include <cstring>

#include "base/dtype.h"
#include "kernels/cuda/emulator/device_calls.h"

namespace atoll::kernels::emulated {
namespace {

struct MmaIn {
  const float* d;
  const uint32_t* a;
  const uint32_t* b;
};

float Half(uint32_t pair, int half) { return ToFloat(BFloat16{static_cast<uint16_t>(pair >> 16 * half)}); }

// a[row][k], b[k][column], d[row][column] out of the lanes' registers.
struct Tiles {
  float a[16][16], b[16][8], d[16][8];
};

void Gather(WarpCall* const (&lanes)[32], Tiles& tiles) {
  for (int lane = 0; lane < 32; ++lane) {
    const auto& in = *static_cast<const MmaIn*>(lanes[lane]->in);
    const int g = lane / 4, t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) tiles.a[g + 8 * (i % 2)][2 * t + 8 * (i / 2) + half] = Half(in.a[i], half);
      for (int i = 0; i < 2; ++i) tiles.b[2 * t + 8 * i + half][g] = Half(in.b[i], half);
      for (int i = 0; i < 2; ++i) tiles.d[g + 8 * i][2 * t + half] = in.d[2 * i + half];
    }
  }
}

void Multiply(WarpCall* const (&lanes)[32]) {
  Tiles tiles;
  Gather(lanes, tiles);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      for (int k = 0; k < 16; ++k) tiles.d[row][column] = std::fma(tiles.a[row][k], tiles.b[k][column], tiles.d[row][column]);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    auto* out = static_cast<float*>(lanes[lane]->out);
    for (int i = 0; i < 4; ++i) out[i] = tiles.d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
  }
}

template <bool kTransposed>
void Distribute(WarpCall* const (&lanes)[32]) {
  for (int lane = 0; lane < 32; ++lane) {
    auto* out = static_cast<uint32_t*>(lanes[lane]->out);
    const int g = lane / 4, t = lane % 4;
    for (int matrix = 0; matrix < 4; ++matrix) {
      const auto element = [&](int row, int column) {
        uint16_t bits;
        std::memcpy(&bits, static_cast<const std::byte*>(lanes[8 * matrix + row]->in) + 2 * column, 2);
        return static_cast<uint32_t>(bits);
      };
      out[matrix] = kTransposed ? element(2 * t, g) | element(2 * t + 1, g) << 16 : element(g, 2 * t) | element(g, 2 * t + 1) << 16;
    }
  }
}

}  // namespace

void Mma16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site) {
  const MmaIn in{d, a, b};
  float out[4];
  JoinWarp({"mma.sync", 0xFFFFFFFFu, site, &in, out, Multiply});
  std::memcpy(d, out, sizeof(out));
}

void LoadMatrix4(uint32_t (&d)[4], const void* row, bool transposed, Site site) {
  ExpectAligned(row, 16);
  std::byte bytes[16];
  std::memcpy(bytes, row, sizeof(bytes));
  JoinWarp({"ldmatrix", 0xFFFFFFFFu, site, bytes, d, transposed ? Distribute<true> : Distribute<false>});
}

}  // namespace atoll::kernels::emulated
