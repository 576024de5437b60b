// Instructions of hand-written PTX, one by one, against plain C++ on corner and random operands.
// The numerics themselves have tests of their own (virtual_arithmetic): this is about decoding,
// widths, masks and operand order.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <functional>
#include <random>

#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

/// Operands a, b, c are in %h1.. (16 bits), %r1.. (32), %l1.. (64), %f1.. and %d1..; the result
/// goes to register 0 of the kind that `result` names (p: predicate).
struct Case {
  const char* text;
  char result;
  std::function<uint64_t(uint64_t, uint64_t, uint64_t)> expected;
};

uint32_t u(uint64_t x) { return static_cast<uint32_t>(x); }
int32_t s(uint64_t x) { return static_cast<int32_t>(x); }
int64_t sl(uint64_t x) { return static_cast<int64_t>(x); }
uint16_t h(uint64_t x) { return static_cast<uint16_t>(x); }
int16_t sh(uint64_t x) { return static_cast<int16_t>(x); }
float f(uint64_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x)); }
double d(uint64_t x) { return std::bit_cast<double>(x); }
uint64_t of(float x) { return std::isnan(x) ? 0x7fffffffu : std::bit_cast<uint32_t>(x); }
uint64_t of(double x) { return std::isnan(x) ? 0x7ff8000000000000u : std::bit_cast<uint64_t>(x); }

uint64_t prmt_reference(uint64_t a, uint64_t b, uint64_t c) {
  const uint64_t bytes = uint64_t{u(b)} << 32 | u(a);
  uint64_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const auto selector = static_cast<unsigned>(c >> (4 * i) & 15);
    uint64_t byte = bytes >> (8 * (selector & 7)) & 255;
    if ((selector & 8) != 0) byte = (byte & 128) != 0 ? 255 : 0;
    result |= byte << (8 * i);
  }
  return result;
}

uint64_t differences_reference(uint64_t a, uint64_t b, bool is_signed, bool sum, uint64_t c) {
  uint64_t packed = 0;
  for (int i = 0; i < 4; ++i) {
    const auto x = static_cast<uint8_t>(a >> (8 * i)), y = static_cast<uint8_t>(b >> (8 * i));
    const int difference = is_signed ? static_cast<int8_t>(x) - static_cast<int8_t>(y) : x - y;
    packed |= uint64_t{static_cast<uint8_t>(std::abs(difference))} << (8 * i);
    c += static_cast<uint64_t>(std::abs(difference));
  }
  return sum ? u(c) : packed;
}

using A = uint64_t;
const Case kCases[] = {
    // Integer arithmetic.
    {"add.s32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return A{u(a + b)}; }},
    {"add.u16 %h0, %h1, %h2;", 'h', [](A a, A b, A) { return A{h(a + b)}; }},
    {"add.s64 %l0, %l1, -5;", 'l', [](A a, A, A) { return a - 5; }},
    {"sub.u32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return A{u(a - b)}; }},
    {"sub.s64 %l0, %l1, %l2;", 'l', [](A a, A b, A) { return a - b; }},
    {"add.sat.s32 %r0, %r1, %r2;", 'r', [](A a, A b, A) {
       const int64_t t = int64_t{s(a)} + s(b);
       return A{u(static_cast<uint64_t>(std::clamp<int64_t>(t, INT32_MIN, INT32_MAX)))};
     }},
    {"mul.lo.u32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return A{u(a * b)}; }},
    {"mul.lo.u16 %h0, %h1, %h2;", 'h', [](A a, A b, A) { return A{h(a * b)}; }},
    {"mul.lo.s64 %l0, %l1, %l2;", 'l', [](A a, A b, A) { return a * b; }},
    {"mul.hi.u32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return A{u(a)} * u(b) >> 32; }},
    {"mul.hi.s32 %r0, %r1, %r2;", 'r',
     [](A a, A b, A) { return A{u(static_cast<A>(int64_t{s(a)} * s(b) >> 32))}; }},
    {"mul.hi.u64 %l0, %l1, %l2;", 'l',
     [](A a, A b, A) {
       __extension__ typedef unsigned __int128 W;
       return static_cast<A>(W{a} * b >> 64);
     }},
    {"mul.wide.u32 %l0, %r1, %r2;", 'l', [](A a, A b, A) { return A{u(a)} * u(b); }},
    {"mul.wide.s32 %l0, %r1, %r2;", 'l',
     [](A a, A b, A) { return static_cast<A>(int64_t{s(a)} * s(b)); }},
    {"mul.wide.s16 %r0, %h1, %h2;", 'r', [](A a, A b, A) { return A{u(static_cast<A>(sh(a) * sh(b)))}; }},
    {"mul.wide.u16 %r0, %h1, %h2;", 'r', [](A a, A b, A) { return A{uint32_t{h(a)} * h(b)}; }},
    {"mul24.lo.u32 %r0, %r1, %r2;", 'r',
     [](A a, A b, A) { return A{u((a & 0xffffff) * (b & 0xffffff))}; }},
    {"mad.lo.s32 %r0, %r1, %r2, %r3;", 'r', [](A a, A b, A c) { return A{u(a * b + c)}; }},
    {"mad.lo.u16 %h0, %h1, %h2, %h3;", 'h', [](A a, A b, A c) { return A{h(a * b + c)}; }},
    {"mad.hi.u32 %r0, %r1, %r2, %r3;", 'r',
     [](A a, A b, A c) { return A{u((A{u(a)} * u(b) >> 32) + c)}; }},
    {"mad.wide.s32 %l0, %r1, %r2, %l3;", 'l',
     [](A a, A b, A c) { return static_cast<A>(int64_t{s(a)} * s(b)) + c; }},
    {"mad.wide.u16 %r0, %h1, %h2, %r3;", 'r',
     [](A a, A b, A c) { return A{u(uint32_t{h(a)} * h(b) + c)}; }},
    {"mad.lo.u64 %l0, %l1, %l2, %l3;", 'l', [](A a, A b, A c) { return a * b + c; }},
    {"div.u32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return u(b) == 0 ? A{0xffffffffu} : A{u(a) / u(b)}; }},
    {"div.s32 %r0, %r1, %r2;", 'r',
     [](A a, A b, A) { return u(b) == 0 ? A{0xffffffffu} : A{u(static_cast<A>(int64_t{s(a)} / s(b)))}; }},
    {"rem.s32 %r0, %r1, %r2;", 'r',
     [](A a, A b, A) { return u(b) == 0 ? A{0xffffffffu} : A{u(static_cast<A>(int64_t{s(a)} % s(b)))}; }},
    {"div.u64 %l0, %l1, %l2;", 'l', [](A a, A b, A) { return b == 0 ? ~A{0} : a / b; }},
    {"rem.u64 %l0, %l1, %l2;", 'l', [](A a, A b, A) { return b == 0 ? ~A{0} : a % b; }},
    {"rem.u16 %h0, %h1, %h2;", 'h', [](A a, A b, A) { return A{h(h(b) == 0 ? 0xffff : h(a) % h(b))}; }},
    {"sad.s32 %r0, %r1, %r2, %r3;", 'r',
     [](A a, A b, A c) { return A{u(static_cast<A>(std::abs(int64_t{s(a)} - s(b))) + c)}; }},
    {"min.s32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return A{u(static_cast<A>(std::min(s(a), s(b))))}; }},
    {"max.u32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return A{std::max(u(a), u(b))}; }},
    {"min.u16 %h0, %h1, %h2;", 'h', [](A a, A b, A) { return A{std::min(h(a), h(b))}; }},
    {"max.s64 %l0, %l1, %l2;", 'l', [](A a, A b, A) { return static_cast<A>(std::max(sl(a), sl(b))); }},
    {"neg.s32 %r0, %r1;", 'r', [](A a, A, A) { return A{u(0 - a)}; }},
    {"neg.s16 %h0, %h1;", 'h', [](A a, A, A) { return A{h(0 - a)}; }},
    {"abs.s32 %r0, %r1;", 'r', [](A a, A, A) { return A{s(a) < 0 ? u(0 - a) : u(a)}; }},
    {"abs.s64 %l0, %l1;", 'l', [](A a, A, A) { return sl(a) < 0 ? 0 - a : a; }},
    {"{ .reg .b32 lo, hi; add.cc.u32 lo, %r1, %r2; addc.u32 hi, %r3, 0; mov.b64 %l0, {lo, hi}; }", 'l',
     [](A a, A b, A c) { return A{u(a)} + u(b) + (A{u(c)} << 32); }},
    {"{ .reg .b32 lo, hi; sub.cc.u32 lo, %r1, %r2; subc.u32 hi, %r3, 1; mov.b64 %l0, {lo, hi}; }", 'l',
     [](A a, A b, A c) { return (A{u(c)} << 32 | u(a)) - (A{1} << 32 | u(b)); }},
    {"{ .reg .b32 lo, hi; mad.lo.cc.u32 lo, %r1, %r2, %r3; madc.hi.u32 hi, %r1, %r2, 7;"
     " mov.b64 %l0, {lo, hi}; }", 'l',
     [](A a, A b, A c) { return A{u(a)} * u(b) + u(c) + (A{7} << 32); }},
    {"add.cc.u32 %r1, %r1, %r2;\naddc.cc.u32 %r1, %r1, %r3;\naddc.u32 %r0, %r1, 0;", 'r',
     [](A a, A b, A c) {
       const A first = A{u(a)} + u(b);
       const A second = A{u(first)} + u(c) + (first >> 32);
       return A{u(u(second) + (second >> 32))};
     }},
    // Bits.
    {"and.b32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return A{u(a & b)}; }},
    {"or.b16 %h0, %h1, %h2;", 'h', [](A a, A b, A) { return A{h(a | b)}; }},
    {"xor.b64 %l0, %l1, %l2;", 'l', [](A a, A b, A) { return a ^ b; }},
    {"not.b32 %r0, %r1;", 'r', [](A a, A, A) { return A{u(~a)}; }},
    {"cnot.b32 %r0, %r1;", 'r', [](A a, A, A) { return A{u(a) == 0}; }},
    {"lop3.b32 %r0, %r1, %r2, %r3, 0x96;", 'r', [](A a, A b, A c) { return A{u(a ^ b ^ c)}; }},
    {"lop3.b32 %r0, %r1, %r2, %r3, 0xE2;", 'r',
     [](A a, A b, A c) { return A{u((a & b) | (c & ~b))}; }},
    {"shl.b32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return u(b) > 31 ? 0 : A{u(a) << u(b)}; }},
    {"shl.b64 %l0, %l1, %r2;", 'l', [](A a, A b, A) { return u(b) > 63 ? 0 : a << u(b); }},
    {"shr.u32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return u(b) > 31 ? 0 : A{u(a) >> u(b)}; }},
    {"shr.s32 %r0, %r1, %r2;", 'r',
     [](A a, A b, A) { return A{u(static_cast<A>(s(a) >> std::min(u(b), 31u)))}; }},
    {"shr.s64 %l0, %l1, %r2;", 'l',
     [](A a, A b, A) { return static_cast<A>(sl(a) >> std::min(u(b), 63u)); }},
    {"shr.u16 %h0, %h1, 3;", 'h', [](A a, A, A) { return A{h(h(a) >> 3)}; }},
    {"shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 'r',
     [](A a, A b, A c) { return ((A{u(b)} << 32 | u(a)) << (c & 31)) >> 32; }},
    {"shf.r.clamp.b32 %r0, %r1, %r2, %r3;", 'r',
     [](A a, A b, A c) { return A{u((A{u(b)} << 32 | u(a)) >> std::min(u(c), 32u))}; }},
    {"bfe.u32 %r0, %r1, 5, 7;", 'r', [](A a, A, A) { return a >> 5 & 127; }},
    {"bfe.s32 %r0, %r1, 4, 8;", 'r',
     [](A a, A, A) { return A{u(static_cast<A>(static_cast<int8_t>(a >> 4)))}; }},
    {"bfi.b32 %r0, %r1, %r2, 8, 12;", 'r',
     [](A a, A b, A) { return A{(u(b) & ~0xfff00u) | (u(a) << 8 & 0xfff00u)}; }},
    {"bfi.b64 %l0, %l1, %l2, 32, 32;", 'l',
     [](A a, A b, A) { return (b & 0xffffffffu) | a << 32; }},
    {"popc.b64 %r0, %l1;", 'r', [](A a, A, A) { return A(std::popcount(a)); }},
    {"clz.b32 %r0, %r1;", 'r', [](A a, A, A) { return A(std::countl_zero(u(a))); }},
    {"brev.b32 %r0, %r1;", 'r',
     [](A a, A, A) {
       uint32_t r = 0;
       for (int i = 0; i < 32; ++i) r |= (u(a) >> i & 1) << (31 - i);
       return A{r};
     }},
    {"bfind.u32 %r0, %r1;", 'r',
     [](A a, A, A) { return u(a) == 0 ? A{0xffffffffu} : A(31 - std::countl_zero(u(a))); }},
    {"bfind.shiftamt.u32 %r0, %r1;", 'r',
     [](A a, A, A) { return u(a) == 0 ? A{0xffffffffu} : A(std::countl_zero(u(a))); }},
    {"prmt.b32 %r0, %r1, %r2, %r3;", 'r', prmt_reference},
    {"vabsdiff4.u32.u32.u32 %r0, %r1, %r2, %r3;", 'r',
     [](A a, A b, A) { return differences_reference(a, b, false, false, 0); }},
    {"vabsdiff4.u32.s32.s32 %r0, %r1, %r2, %r3;", 'r',
     [](A a, A b, A) { return differences_reference(a, b, true, false, 0); }},
    {"vabsdiff4.u32.u32.u32.add %r0, %r1, %r2, %r3;", 'r',
     [](A a, A b, A c) { return differences_reference(a, b, false, true, c); }},
    {"{ .reg .b16 x; mov.b16 x, {%h1, 7}; mov.b16 %h0, x; }", 'h',
     [](A a, A, A) { return A{h((a & 255) | 7 << 8)}; }},
    {"{ .reg .b128 x, y; mov.b128 x, {%l1, %l2}; mov.b128 {%l0, _}, x; }", 'l',
     [](A a, A, A) { return a; }},
    {"{ .reg .b128 x; .reg .b64 low; mov.b128 x, {%l1, %l2}; mov.b128 {low, %l0}, x; }", 'l',
     [](A, A b, A) { return b; }},
    {"dp4a.s32.s32 %r0, %r1, %r2, %r3;", 'r',
     [](A a, A b, A c) {
       int32_t t = s(c);
       for (int i = 0; i < 4; ++i) {
         t = static_cast<int32_t>(static_cast<uint32_t>(t) +
                                  static_cast<uint32_t>(static_cast<int8_t>(a >> (8 * i)) *
                                                        static_cast<int8_t>(b >> (8 * i))));
       }
       return A{u(static_cast<A>(t))};
     }},
    // Floating point.
    {"add.f32 %f0, %f1, %f2;", 'f', [](A a, A b, A) { return of(f(a) + f(b)); }},
    {"sub.rn.f32 %f0, %f1, %f2;", 'f', [](A a, A b, A) { return of(f(a) - f(b)); }},
    {"mul.f32 %f0, %f1, 0f40400000;", 'f', [](A a, A, A) { return of(f(a) * 3.0f); }},
    {"fma.rn.f32 %f0, %f1, %f2, %f3;", 'f',
     [](A a, A b, A c) { return of(std::fma(f(a), f(b), f(c))); }},
    {"div.rn.f32 %f0, %f1, %f2;", 'f', [](A a, A b, A) { return of(f(a) / f(b)); }},
    {"sqrt.rn.f32 %f0, %f1;", 'f', [](A a, A, A) { return of(std::sqrt(f(a))); }},
    {"rcp.rn.f32 %f0, %f1;", 'f', [](A a, A, A) { return of(1.0f / f(a)); }},
    {"add.sat.f32 %f0, %f1, %f2;", 'f',
     [](A a, A b, A) {
       const float t = f(a) + f(b);
       return std::isnan(t) ? A{0} : of(std::clamp(t, 0.0f, 1.0f) + 0.0f);
     }},
    {"neg.f32 %f0, %f1;", 'f', [](A a, A, A) { return A{u(a) ^ 0x80000000u}; }},
    {"abs.f32 %f0, %f1;", 'f', [](A a, A, A) { return A{u(a) & 0x7fffffffu}; }},
    {"min.f32 %f0, %f1, %f2;", 'f', [](A a, A b, A) { return of(std::fmin(f(a), f(b))); }},
    {"max.NaN.f32 %f0, %f1, %f2;", 'f',
     [](A a, A b, A) {
       return std::isnan(f(a)) || std::isnan(f(b)) ? A{0x7fffffffu} : of(std::fmax(f(a), f(b)));
     }},
    {"copysign.f32 %f0, %f1, %f2;", 'f',
     [](A a, A b, A) { return A{(u(a) & 0x80000000u) | (u(b) & 0x7fffffffu)}; }},
    {"add.f64 %d0, %d1, %d2;", 'd', [](A a, A b, A) { return of(d(a) + d(b)); }},
    {"fma.rn.f64 %d0, %d1, %d2, %d3;", 'd',
     [](A a, A b, A c) { return of(std::fma(d(a), d(b), d(c))); }},
    {"div.rn.f64 %d0, %d1, %d2;", 'd', [](A a, A b, A) { return of(d(a) / d(b)); }},
    {"sqrt.rn.f64 %d0, %d1;", 'd', [](A a, A, A) { return of(std::sqrt(d(a))); }},
    {"neg.f64 %d0, %d1;", 'd', [](A a, A, A) { return of(-d(a)); }},
    {"add.rz.f32 %f0, %f1, %f2;", 'f',
     [](A a, A b, A) {
       // The nearest sum, one step back where it lies beyond the exact one.
       const float near = f(a) + f(b);
       if (!std::isfinite(f(a)) || !std::isfinite(f(b))) return of(near);
       if (!std::isfinite(near)) return of(std::copysign(0x1.fffffep127f, near));
       const double x = f(a), y = f(b), sum = x + y, part = sum - x;
       const double lost = (x - (sum - part)) + (y - part);
       const bool beyond = near != sum ? std::fabs(double{near}) > std::fabs(sum)
                                       : lost != 0 && (lost > 0) != (near > 0);
       if (beyond) return of(std::nextafter(near, 0.0f));
       return of(near);
     }},
    // Comparisons and selections.
    {"setp.lt.s32 %p0, %r1, %r2;", 'p', [](A a, A b, A) { return A{s(a) < s(b)}; }},
    {"setp.hi.u32 %p0, %r1, %r2;", 'p', [](A a, A b, A) { return A{u(a) > u(b)}; }},
    {"setp.ge.u64 %p0, %l1, %l2;", 'p', [](A a, A b, A) { return A{a >= b}; }},
    {"setp.ne.s16 %p0, %h1, %h2;", 'p', [](A a, A b, A) { return A{h(a) != h(b)}; }},
    {"setp.eq.b32 %p0, %r1, %r2;", 'p', [](A a, A b, A) { return A{u(a) == u(b)}; }},
    {"setp.lt.f32 %p0, %f1, %f2;", 'p', [](A a, A b, A) { return A{f(a) < f(b)}; }},
    {"setp.ne.f32 %p0, %f1, %f2;", 'p', [](A a, A b, A) { return A{f(a) < f(b) || f(a) > f(b)}; }},
    {"setp.neu.f32 %p0, %f1, %f2;", 'p', [](A a, A b, A) { return A{f(a) != f(b)}; }},
    {"setp.geu.f32 %p0, %f1, %f2;", 'p', [](A a, A b, A) { return A{!(f(a) < f(b))}; }},
    {"setp.ltu.f64 %p0, %d1, %d2;", 'p', [](A a, A b, A) { return A{!(d(a) >= d(b))}; }},
    {"setp.gtu.f64 %p0, %d1, %d2;", 'p', [](A a, A b, A) { return A{!(d(a) <= d(b))}; }},
    {"setp.equ.f32 %p0, %f1, %f2;", 'p',
     [](A a, A b, A) { return A{f(a) == f(b) || std::isunordered(f(a), f(b))}; }},
    {"setp.nan.f32 %p0, %f1, %f2;", 'p', [](A a, A b, A) { return A{std::isunordered(f(a), f(b))}; }},
    {"setp.num.f64 %p0, %d1, %d2;", 'p', [](A a, A b, A) { return A{!std::isunordered(d(a), d(b))}; }},
    {"setp.gt.s32 %p1, %r3, 0;\nsetp.lt.and.s32 %p0|%p2, %r1, %r2, !%p1;", 'p',
     [](A a, A b, A c) { return A{s(a) < s(b) && !(s(c) > 0)}; }},
    {"setp.gt.s32 %p1, %r3, 0;\nsetp.lt.or.s32 %p2|%p0, %r1, %r2, %p1;", 'p',
     [](A a, A b, A c) { return A{!(s(a) < s(b)) || s(c) > 0}; }},
    {"setp.gt.s32 %p0, %r3, 0;\nsetp.lt.xor.s32 %p0|%p1, %r1, %r2, %p0;", 'p',
     [](A a, A b, A c) { return A{(s(a) < s(b)) != (s(c) > 0)}; }},
    {"setp.lt.s32 %p1, %r1, %r2;\nsetp.lt.s32 %p2, %r2, %r3;\nand.pred %p0, %p1, %p2;", 'p',
     [](A a, A b, A c) { return A{s(a) < s(b) && s(b) < s(c)}; }},
    {"setp.lt.s32 %p1, %r1, %r2;\nnot.pred %p0, %p1;", 'p', [](A a, A b, A) { return A{s(a) >= s(b)}; }},
    {"setp.lt.s32 %p1, %r1, %r2;\nselp.b32 %r0, %r1, 17, %p1;", 'r',
     [](A a, A b, A) { return s(a) < s(b) ? A{u(a)} : A{17}; }},
    {"setp.lt.s32 %p1, %r1, %r2;\nselp.f64 %d0, %d1, %d2, %p1;", 'd',
     [](A a, A b, A) { return s(a) < s(b) ? a : b; }},
    {"slct.u32.s32 %r0, %r1, %r2, %r3;", 'r', [](A a, A b, A c) { return s(c) >= 0 ? A{u(a)} : A{u(b)}; }},
    {"slct.b64.f32 %l0, %l1, %l2, %f3;", 'l', [](A a, A b, A c) { return f(c) >= 0 ? a : b; }},
    {"set.lt.u32.s32 %r0, %r1, %r2;", 'r', [](A a, A b, A) { return s(a) < s(b) ? A{0xffffffffu} : A{0}; }},
    {"set.ge.f32.f32 %f0, %f1, %f2;", 'f', [](A a, A b, A) { return of(f(a) >= f(b) ? 1.0f : 0.0f); }},
    {"testp.finite.f32 %p0, %f1;", 'p', [](A a, A, A) { return A{std::isfinite(f(a))}; }},
    {"setp.lt.s32 %p1, %r1, %r2;\nmov.u32 %r0, 3;\n@%p1 add.s32 %r0, %r0, %r3;\n@!%p1 sub.s32 %r0, %r0, 1;",
     'r', [](A a, A b, A c) { return A{u(s(a) < s(b) ? c + 3 : A{2})}; }},
    // Conversions and moves.
    {"cvt.s64.s32 %l0, %r1;", 'l', [](A a, A, A) { return static_cast<A>(int64_t{s(a)}); }},
    {"cvt.u64.u32 %l0, %r1;", 'l', [](A a, A, A) { return A{u(a)}; }},
    {"cvt.u32.u64 %r0, %l1;", 'r', [](A a, A, A) { return A{u(a)}; }},
    {"cvt.s32.s8 %r0, %r1;", 'r', [](A a, A, A) { return A{u(static_cast<A>(static_cast<int8_t>(a)))}; }},
    {"cvt.u32.u8 %r0, %h1;", 'r', [](A a, A, A) { return a & 255; }},
    {"cvt.s16.s8 %h0, %h1;", 'h', [](A a, A, A) { return A{h(static_cast<A>(static_cast<int8_t>(a)))}; }},
    {"cvt.s8.s32 %r0, %r1;", 'r', [](A a, A, A) { return A{u(static_cast<A>(static_cast<int8_t>(a)))}; }},
    {"cvt.sat.s8.s32 %r0, %r1;", 'r',
     [](A a, A, A) { return A{u(static_cast<A>(std::clamp(s(a), -128, 127)))}; }},
    {"cvt.sat.u8.s32 %r0, %r1;", 'r', [](A a, A, A) { return A(std::clamp(s(a), 0, 255)); }},
    {"cvt.u16.u32 %h0, %r1;", 'h', [](A a, A, A) { return A{h(a)}; }},
    {"cvt.s64.s16 %l0, %h1;", 'l', [](A a, A, A) { return static_cast<A>(int64_t{sh(a)}); }},
    {"cvt.rn.f32.s32 %f0, %r1;", 'f', [](A a, A, A) { return of(static_cast<float>(s(a))); }},
    {"cvt.rn.f32.u64 %f0, %l1;", 'f', [](A a, A, A) { return of(static_cast<float>(a)); }},
    {"cvt.rn.f64.s64 %d0, %l1;", 'd', [](A a, A, A) { return of(static_cast<double>(sl(a))); }},
    {"cvt.f64.f32 %d0, %f1;", 'd', [](A a, A, A) { return of(static_cast<double>(f(a))); }},
    {"cvt.rn.f32.f64 %f0, %d1;", 'f', [](A a, A, A) { return of(static_cast<float>(d(a))); }},
    {"cvt.rzi.s32.f32 %r0, %f1;", 'r',
     [](A a, A, A) {
       if (std::isnan(f(a))) return A{0};
       return A{u(static_cast<A>(static_cast<int64_t>(std::clamp(f(a), -2147483648.0f, 2147483647.0f))))} ==
                          0x80000000u && f(a) > 0 ? A{0x7fffffff}
              : A{u(static_cast<A>(static_cast<int64_t>(std::clamp(std::trunc(double{f(a)}), -2147483648.0, 2147483647.0))))};
     }},
    {"cvt.rni.s32.f32 %r0, %f1;", 'r',
     [](A a, A, A) {
       if (std::isnan(f(a))) return A{0};
       return A{u(static_cast<A>(static_cast<int64_t>(
           std::clamp(std::nearbyint(double{f(a)}), -2147483648.0, 2147483647.0))))};
     }},
    {"cvt.rmi.f32.f32 %f0, %f1;", 'f', [](A a, A, A) { return of(std::floor(f(a))); }},
    {"cvt.sat.f32.f32 %f0, %f1;", 'f',
     [](A a, A, A) { return std::isnan(f(a)) ? A{0} : of(std::clamp(f(a), 0.0f, 1.0f) + 0.0f); }},
    {"mov.b32 %r0, {%h1, %h2};", 'r', [](A a, A b, A) { return A{h(a)} | A{h(b)} << 16; }},
    {"mov.b32 {%h2, %h0}, %r1;", 'h', [](A a, A, A) { return A{h(a >> 16)}; }},
    {"mov.b64 %l0, {%r1, %r2};", 'l', [](A a, A b, A) { return A{u(a)} | A{u(b)} << 32; }},
    {"mov.b64 {%r1, %r0}, %l1;", 'r', [](A a, A, A) { return a >> 32; }},
    {"mov.b64 {_, %r0}, %l1;", 'r', [](A a, A, A) { return a >> 32; }},
    {"mov.b64 %l0, {%h1, %h2, %h3, %h1};", 'l',
     [](A a, A b, A c) { return A{h(a)} | A{h(b)} << 16 | A{h(c)} << 32 | A{h(a)} << 48; }},
    {"mov.b32 %f0, 0f3FC00000;", 'f', [](A, A, A) { return of(1.5f); }},
    {"mov.f64 %d0, 0d3FF8000000000000;", 'd', [](A, A, A) { return of(1.5); }},
    {"min.u16x2 %r0, %r1, %r2;", 'r',
     [](A a, A b, A) {
       return A{std::min(h(a), h(b))} | A{std::min(h(a >> 16), h(b >> 16))} << 16;
     }},
    {"szext.clamp.s32 %r0, %r1, 5;", 'r',
     [](A a, A, A) { return A{u(static_cast<A>(s(a << 27) >> 27))}; }},
    {"bmsk.clamp.b32 %r0, 4, 8;", 'r', [](A, A, A) { return A{0xff0}; }},
    {"{ .reg .pred q; setp.ne.b32 q, %r3, 0; lop3.or.b32 %r0|%p0, %r1, %r2, 0, 0xc0, q; }", 'p',
     [](A a, A b, A c) { return A{(u(a) & u(b)) != 0 || u(c) != 0}; }},
};

std::string kernel_text(size_t index, const Case& test) {
  const char* store = "";
  switch (test.result) {
    case 'h':
      store = "cvt.u64.u16 %l9, %h0;";
      break;
    case 'r':
      store = "cvt.u64.u32 %l9, %r0;";
      break;
    case 'l':
      store = "mov.u64 %l9, %l0;";
      break;
    case 'f':
      store = "mov.b32 %r9, %f0; cvt.u64.u32 %l9, %r9;";
      break;
    case 'd':
      store = "mov.b64 %l9, %d0;";
      break;
    case 'p':
      store = "selp.u64 %l9, 1, 0, %p0;";
      break;
  }
  std::string text = fmt::format(
      ".visible .entry k{}(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 o)\n{{\n",
      index);
  text += R"(
.reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<16>; .reg .b64 %l<16>; .reg .f32 %f<8>; .reg .f64 %d<8>;
mov.u32 %r8, %tid.x; mul.wide.u32 %l8, %r8, 8;
ld.param.u64 %l10, [a]; add.s64 %l10, %l10, %l8; ld.global.u64 %l1, [%l10];
ld.param.u64 %l11, [b]; add.s64 %l11, %l11, %l8; ld.global.u64 %l2, [%l11];
ld.param.u64 %l12, [c]; add.s64 %l12, %l12, %l8; ld.global.u64 %l3, [%l12];
ld.param.u64 %l13, [o]; add.s64 %l13, %l13, %l8;
cvt.u32.u64 %r1, %l1; cvt.u32.u64 %r2, %l2; cvt.u32.u64 %r3, %l3;
cvt.u16.u64 %h1, %l1; cvt.u16.u64 %h2, %l2; cvt.u16.u64 %h3, %l3;
mov.b32 %f1, %r1; mov.b32 %f2, %r2; mov.b32 %f3, %r3;
mov.b64 %d1, %l1; mov.b64 %d2, %l2; mov.b64 %d3, %l3;
)";
  return text + test.text + "\n" + store + "\nst.global.u64 [%l13], %l9;\nret;\n}\n";
}

/// Corner values, pairs of them, and random words; 45 x 3 threads, so that warps are partial.
std::vector<uint64_t> operands(unsigned seed) {
  const uint64_t corners[] = {0,
                              1,
                              2,
                              5,
                              31,
                              32,
                              33,
                              63,
                              64,
                              0x7f,
                              0x80,
                              0xff,
                              0x7fff,
                              0x8000,
                              0xffff,
                              0x7fffffff,
                              0x80000000u,
                              0xffffffffu,
                              0x3f800000,
                              0xbf800000,
                              0x7f800000,
                              0xff800000u,
                              0x00000001,
                              0x3f8ccccd,
                              0x4b000001,
                              0x7fffffffffffffffu,
                              0x8000000000000000u,
                              ~uint64_t{0},
                              0x3ff0000000000000,
                              0xc008000000000000,
                              0x7ff0000000000000,
                              0x4059000042c80000,
                              0x4000000040490fdb};
  std::mt19937_64 random(seed);
  std::vector<uint64_t> values;
  for (size_t i = 0; i < 135; ++i) {
    const bool corner = random() % 3 != 0;
    values.push_back(corner ? corners[random() % std::size(corners)] : random());
  }
  return values;
}

TEST(Instructions, GiveWhatPlainCodeGives) {
  std::string ptx = rig::kHeader;
  for (size_t i = 0; i < std::size(kCases); ++i) ptx += kernel_text(i, kCases[i]);
  Bench bench(ptx);
  ASSERT_NE(bench.module, nullptr);
  const auto a = operands(1), b = operands(2), c = operands(3);
  bench.tensor("a", a);
  bench.tensor("b", b);
  bench.tensor("c", c);
  for (size_t i = 0; i < std::size(kCases); ++i) {
    bench.tensor("o", std::vector<uint64_t>(a.size(), 0x5555));
    const RunReport report = bench.launch(fmt::format("k{}", i), {1}, {135}, Pointer{"a"},
                                          Pointer{"b"}, Pointer{"c"}, Pointer{"o"});
    ASSERT_EQ(fault_of(report), "") << kCases[i].text;
    const auto o = bench.read<uint64_t>("o");
    for (size_t k = 0; k < o.size(); ++k) {
      uint64_t got = o[k];
      if (kCases[i].result == 'd' && std::isnan(d(got))) got = 0x7ff8000000000000u;
      uint64_t want = kCases[i].expected(a[k], b[k], c[k]);
      if (kCases[i].result == 'd' && std::isnan(d(want))) want = 0x7ff8000000000000u;
      if (kCases[i].result == 'f' && std::isnan(f(got)) && std::isnan(f(want))) want = got;
      ASSERT_EQ(got, want) << kCases[i].text << std::hex << " a " << a[k] << " b " << b[k] << " c "
                           << c[k];
    }
  }
}

TEST(Instructions, UnknownOnesAreNamedWhenTheyWouldRun) {
  const std::string ptx = std::string(rig::kHeader) + R"(
.visible .entry k(.param .u64 o, .param .u32 n)
{
.reg .pred %p<2>; .reg .b32 %r<4>; .reg .b64 %l<4>;
ld.param.u32 %r1, [n];
setp.eq.s32 %p1, %r1, 0;
@%p1 frobnicate.rn.u32 %r2, %r1;
@%p1 add.rn.strange.f32 %r2, %r1, %r1;
ret;
}
)";
  Bench bench(ptx);
  bench.tensor("o", std::vector<int>(4));
  EXPECT_EQ(fault_of(bench.launch("k", {1}, {32}, Pointer{"o"}, 1)), "");
  const RunReport report = bench.launch("k", {1}, {32}, Pointer{"o"}, 0);
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_EQ(report.fault->kind, Fault::Kind::unsupported);
  EXPECT_NE(report.fault->explanation.find("does not support the PTX instruction "
                                           "\"frobnicate.rn.u32\""),
            std::string::npos)
      << report.fault->explanation;
}

TEST(Instructions, AnUnknownModifierIsNotIgnored) {
  const std::string ptx = std::string(rig::kHeader) + R"(
.visible .entry k()
{
.reg .b32 %r<4>;
add.strange.u32 %r2, %r1, %r1;
ret;
}
)";
  Bench bench(ptx);
  const RunReport report = bench.launch("k", {1}, {32});
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_EQ(report.fault->kind, Fault::Kind::unsupported);
  EXPECT_NE(report.fault->explanation.find("its modifier .strange"), std::string::npos);
}

}  // namespace
}  // namespace assay
