#pragma once

// exp, log, log1p, sin and cos in float32, one written order of fma, multiply and add over the lanes of whichever lanes_*.h was
// included before (required), so that scalar, AVX2 and AVX-512 code agree in every bit. Within 2 ulp of the exact value
// (tests/kernels/math_test.cc) with DAZ and FTZ set, which compute threads set; denormal arguments count as zero.
// Polynomial coefficients: S. Moshier, Cephes Mathematical Library, single precision.

// How such functions are declared; a lanes header for another processor says it itself.
#ifndef ATOLL_LANES_FUNCTION
#define ATOLL_LANES_FUNCTION inline
#endif

namespace atoll::kernels {
namespace {

ATOLL_LANES_FUNCTION F RoundToEven(F x) {  // for |x| < 2^22
  const F magic = Splat(12582912.0f);
  return Sub(Add(x, magic), magic);
}

ATOLL_LANES_FUNCTION F PowerOfTwo(I n) { return FromBits(ShiftLeft<23>(AddInt(n, SplatInt(127)))); }  // for -126 <= n <= 127

// e^x; +infinity above 88.73, zero below -87.34, NaN for NaN.
ATOLL_LANES_FUNCTION F Exp(F x) {
  x = Max(Splat(-104.0f), Min(Splat(89.0f), x));  // the second argument wins where it is NaN
  const F n = RoundToEven(Mul(x, Splat(1.44269504f)));
  F r = Fma(n, Splat(-0.693147182f), x);
  r = Fma(n, Splat(1.90465421e-9f), r);
  F p = Splat(1.9875691500e-4f);
  p = Fma(p, r, Splat(1.3981999507e-3f));
  p = Fma(p, r, Splat(8.3334519073e-3f));
  p = Fma(p, r, Splat(4.1665795894e-2f));
  p = Fma(p, r, Splat(1.6666665459e-1f));
  p = Fma(p, r, Splat(5.0000001201e-1f));
  p = Add(Fma(p, Mul(r, r), r), Splat(1.0f));
  // Two factors, each a normal number, reach from below the smallest normal result to infinity.
  const I whole = Truncate(n);
  const I half = ShiftRight<1>(whole);
  return Mul(Mul(p, PowerOfTwo(half)), PowerOfTwo(SubInt(whole, half)));
}

// ln x; -infinity at zero, NaN below it, +infinity at +infinity.
ATOLL_LANES_FUNCTION F Log(F x) {
  const I bits = Bits(x);
  F e = ToFloats(SubInt(And(ShiftRight<23>(bits), SplatInt(0xFF)), SplatInt(126)));
  F m = FromBits(Or(And(bits, SplatInt(0x007FFFFF)), SplatInt(0x3F000000)));  // in [0.5, 1)
  const M low = Less(m, Splat(0.707106781f));
  e = Select(low, Sub(e, Splat(1.0f)), e);
  m = Sub(Select(low, Add(m, m), m), Splat(1.0f));
  const F z = Mul(m, m);
  F p = Splat(7.0376836292e-2f);
  p = Fma(p, m, Splat(-1.1514610310e-1f));
  p = Fma(p, m, Splat(1.1676998740e-1f));
  p = Fma(p, m, Splat(-1.2420140846e-1f));
  p = Fma(p, m, Splat(1.4249322787e-1f));
  p = Fma(p, m, Splat(-1.6668057665e-1f));
  p = Fma(p, m, Splat(2.0000714765e-1f));
  p = Fma(p, m, Splat(-2.4999993993e-1f));
  p = Fma(p, m, Splat(3.3333331174e-1f));
  F y = Mul(Mul(p, m), z);
  y = Fma(e, Splat(-2.12194440e-4f), y);
  y = Fma(z, Splat(-0.5f), y);
  F result = Fma(e, Splat(0.693359375f), Add(m, y));
  const F infinity = FromBits(SplatInt(0x7F800000));
  result = Select(Less(x, Splat(1.17549435e-38f)), Sub(Splat(0.0f), infinity), result);
  result = Select(Less(x, Splat(0.0f)), FromBits(SplatInt(0x7FC00000)), result);
  result = Select(Equal(x, infinity), infinity, result);
  return Select(IsNan(x), x, result);
}

// ln(1 + x) for -1 < x <= 1: the rounding error of 1 + x is carried back in.
ATOLL_LANES_FUNCTION F Log1p(F x) {
  const F u = Add(Splat(1.0f), x);
  const F lost = Sub(x, Sub(u, Splat(1.0f)));
  return Add(Log(u), Div(lost, u));
}

// sin x and cos x for |x| <= 2^18. The nearest multiple of pi/2 is taken off in three parts; the first step is exact
// because both x and the product are multiples of 2^-23 there.
ATOLL_LANES_FUNCTION void SinCos(F x, F* sine, F* cosine) {
  const F n = RoundToEven(Mul(x, Splat(0.636619747f)));
  F r = Fma(n, Splat(-1.57079637f), x);
  r = Fma(n, Splat(4.37113883e-8f), r);
  r = Fma(n, Splat(1.71512489e-15f), r);
  const F z = Mul(r, r);
  F s = Splat(-1.9515295891e-4f);
  s = Fma(s, z, Splat(8.3321608736e-3f));
  s = Fma(s, z, Splat(-1.6666654611e-1f));
  s = Fma(Mul(s, z), r, r);
  F c = Splat(2.443315711809948e-5f);
  c = Fma(c, z, Splat(-1.388731625493765e-3f));
  c = Fma(c, z, Splat(4.166664568298827e-2f));
  c = Fma(Mul(c, z), z, Fma(z, Splat(-0.5f), Splat(1.0f)));
  const I quadrant = Truncate(n);
  const M swap = EqualInt(And(quadrant, SplatInt(1)), SplatInt(1));
  const I sine_sign = ShiftLeft<30>(And(quadrant, SplatInt(2)));
  const I cosine_sign = ShiftLeft<30>(And(AddInt(quadrant, SplatInt(1)), SplatInt(2)));
  *sine = FromBits(Xor(Bits(Select(swap, c, s)), sine_sign));
  *cosine = FromBits(Xor(Bits(Select(swap, s, c)), cosine_sign));
}

}  // namespace
}  // namespace atoll::kernels
