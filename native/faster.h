/* Four inner loops of libopus 1.3.1 for x86 with SSE 4.1 (every one since 2008; asked for at run time). `faster.mjs` puts them in front of
 * libopus's own, which stay for other processors. The three of SILK calculate with integers and give the same to the bit; the one of CELT
 * rounds elsewhere. Together they take a sixth off decoding (docs/decisions/0014). */
#ifndef PARLANCE_FASTER_H
#define PARLANCE_FASTER_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define SSE41 __attribute__((target("sse4.1")))

static inline int faster_here(void) { return __builtin_cpu_supports("sse4.1") != 0; }

/* What `silk_SMULWB` is: the upper part of a product of 32 and 16 bit. */
static inline int32_t faster_product(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b) >> 16); }

static inline int32_t faster_clamp(int64_t value, int64_t least, int64_t most) {
  return (int32_t)(value < least ? least : value > most ? most : value);
}

#define TAPS 16

/* Products of one coefficient with four samples in a row: `even` with the first and third, `odd` with the second and fourth. Upper halves
 * of 64 bit are the sums; what the lower halves carry is nobody's. */
#define TAP(number, from, behind)                                                          \
  even = _mm_add_epi32(even, _mm_mul_epi32(from, taps[number]));                           \
  odd = _mm_add_epi32(odd, _mm_mul_epi32(behind, taps[number]));

/* LPC synthesis and gain of `silk_decode_core`. `samples` has TAPS of the past in front of it and room for `count` (a multiple of 4);
 * `order` is 10 or 16. What four samples have of those before them is added up at once, the rest one after the other. */
SSE41 static void faster_synthesis(int32_t *samples, const int32_t *residual, const int16_t *coefficients, int order, int count,
                                   int32_t gain, int16_t *out) {
  __m128i taps[TAPS + 1];
  for (int n = 1; n <= TAPS; n++) taps[n] = _mm_set1_epi32(n <= order ? coefficients[n - 1] * 65536 : 0);
  const int32_t first = coefficients[0], second = coefficients[1], third = coefficients[2];
  const __m128i bias = _mm_set1_epi32(order >> 1);
  /* The past, the newest first, four by four. */
  __m128i a = _mm_loadu_si128((const __m128i *)(samples - 4)), b = _mm_loadu_si128((const __m128i *)(samples - 8));
  __m128i c = _mm_loadu_si128((const __m128i *)(samples - 12)), d = _mm_loadu_si128((const __m128i *)(samples - 16));
  int32_t last = samples[-1], before = samples[-2], long_before = samples[-3];
  for (int at = 0; at < count; at += 4) {
    __m128i even = _mm_setzero_si128(), odd = even;
    const __m128i back10 = _mm_alignr_epi8(b, c, 8), back9 = _mm_alignr_epi8(b, c, 12);
    if (order == TAPS) {
      const __m128i back15 = _mm_alignr_epi8(c, d, 4), back14 = _mm_alignr_epi8(c, d, 8), back13 = _mm_alignr_epi8(c, d, 12);
      const __m128i back11 = _mm_alignr_epi8(b, c, 4);
      TAP(16, d, back15) TAP(15, back15, back14) TAP(14, back14, back13) TAP(13, back13, c) TAP(12, c, back11) TAP(11, back11, back10)
    }
    const __m128i back7 = _mm_alignr_epi8(a, b, 4), back6 = _mm_alignr_epi8(a, b, 8), back5 = _mm_alignr_epi8(a, b, 12);
    TAP(10, back10, back9) TAP(9, back9, b) TAP(8, b, back7) TAP(7, back7, back6) TAP(6, back6, back5) TAP(5, back5, a)
    TAP(4, a, _mm_srli_si128(a, 4))
    int32_t known[4], fresh[4];
    _mm_storeu_si128((__m128i *)known, _mm_add_epi32(bias, _mm_blend_epi16(_mm_srli_epi64(even, 32), odd, 0xcc)));
    for (int n = 0; n < 4; n++) {
      const uint32_t older = (uint32_t)known[n] + (uint32_t)faster_product(long_before, third) + (uint32_t)faster_product(before, second);
      const int32_t predicted = (int32_t)(older + (uint32_t)faster_product(last, first));
      const int64_t scaled = (int64_t)faster_clamp(predicted, INT32_MIN >> 4, INT32_MAX >> 4) * 16;
      fresh[n] = faster_clamp(residual[at + n] + scaled, INT32_MIN, INT32_MAX);
      long_before = before;
      before = last;
      last = fresh[n];
      const int32_t loud = (int32_t)(((int64_t)last * gain) >> 16);
      out[at + n] = (int16_t)faster_clamp(((loud >> 7) + 1) >> 1, INT16_MIN, INT16_MAX);
    }
    d = c;
    c = b;
    b = a;
    a = _mm_set_epi32(fresh[3], fresh[2], fresh[1], fresh[0]);
    _mm_storeu_si128((__m128i *)(samples + at), a);
  }
}

/* One of three all-pass filters, for the even and the odd output at once. */
#define ALL_PASS(in, state, product, result)                                               \
  const __m128i result = _mm_add_epi32(state, product);                                    \
  state = _mm_add_epi32(in, product);

SSE41 static inline __m128i faster_pair(int32_t even, int32_t odd) { return _mm_set_epi32(0, odd, 0, even); }

SSE41 static inline __m128i faster_upper(__m128i samples, __m128i coefficients) {
  return _mm_srli_epi64(_mm_mul_epi32(samples, coefficients), 32);
}

/* `silk_resampler_private_up2_HQ`: twice as many samples. */
SSE41 static void faster_double(int32_t *state, int16_t *out, const int16_t *in, int count, const int16_t *even, const int16_t *odd) {
  const __m128i first = faster_pair(even[0] * 65536, odd[0] * 65536), second = faster_pair(even[1] * 65536, odd[1] * 65536);
  const __m128i third = faster_pair(even[2] * 65536, odd[2] * 65536), half = _mm_set1_epi32(1 << 9);
  __m128i a = faster_pair(state[0], state[3]), b = faster_pair(state[1], state[4]), c = faster_pair(state[2], state[5]);
  for (int n = 0; n < count; n++) {
    const __m128i sample = _mm_set1_epi32(in[n] * 1024);
    const __m128i one = faster_upper(_mm_sub_epi32(sample, a), first);
    ALL_PASS(sample, a, one, once)
    const __m128i two = faster_upper(_mm_sub_epi32(once, b), second);
    ALL_PASS(once, b, two, twice)
    const __m128i rest = _mm_sub_epi32(twice, c), three = _mm_add_epi32(rest, faster_upper(rest, third));
    ALL_PASS(twice, c, three, done)
    const __m128i rounded = _mm_shuffle_epi32(_mm_srai_epi32(_mm_add_epi32(done, half), 10), 0x08);
    const int32_t both = _mm_cvtsi128_si32(_mm_packs_epi32(rounded, rounded));
    memcpy(out + 2 * n, &both, sizeof both);
  }
  const __m128i *const states[] = {&a, &b, &c};
  for (int n = 0; n < 3; n++) {
    state[n] = _mm_cvtsi128_si32(*states[n]);
    state[n + 3] = _mm_extract_epi32(*states[n], 2);
  }
}

#define PHASES 12

/* `silk_resampler_private_IIR_FIR_INTERPOL`: a filter of 8 coefficients at each `step` (65536ths of a sample) until `end`. */
SSE41 static int16_t *faster_interpolation(int16_t *out, const int16_t *in, int32_t end, int32_t step, const int16_t (*halves)[4]) {
  int16_t filters[PHASES][8] __attribute__((aligned(16)));
  for (int phase = 0; phase < PHASES; phase++) {
    for (int n = 0; n < 4; n++) {
      filters[phase][n] = halves[phase][n];
      filters[phase][7 - n] = halves[PHASES - 1 - phase][n];
    }
  }
#define FILTERED(at) \
  _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(in + ((at) >> 16))), *(const __m128i *)filters[(((at) & 0xffff) * PHASES) >> 16])
  const __m128i half = _mm_set1_epi32(1 << 14), nothing = _mm_setzero_si128();
  int32_t at = 0;
  for (; at + 3 * (int64_t)step < end; at += 4 * step, out += 4) {
    const __m128i two = _mm_hadd_epi32(FILTERED(at), FILTERED(at + step));
    const __m128i sums = _mm_hadd_epi32(two, _mm_hadd_epi32(FILTERED(at + 2 * step), FILTERED(at + 3 * step)));
    const __m128i rounded = _mm_srai_epi32(_mm_add_epi32(sums, half), 15);
    _mm_storel_epi64((__m128i *)out, _mm_packs_epi32(rounded, rounded));
  }
  for (; at < end; at += step) {
    const __m128i sum = _mm_hadd_epi32(_mm_hadd_epi32(FILTERED(at), nothing), nothing);
    const __m128i rounded = _mm_srai_epi32(_mm_add_epi32(sum, half), 15);
    *out++ = (int16_t)_mm_cvtsi128_si32(_mm_packs_epi32(rounded, rounded));
  }
#undef FILTERED
  return out;
}

/* As libopus: keeps a tail of nothing from becoming numbers too small for the processor's fast path. */
#define TINY 1e-30f

/* The part of `deemphasis` that a decoder of 24 kHz needs: every second of `count` samples (a multiple of 4, at least 4). Each depends on
 * the one before it, which takes its time; so two run side by side, four samples apart. Answers the filter's memory. */
static inline float faster_deemphasis(const float *x, float *out, int count, float factor, float memory, float scale) {
  const float twice = factor * factor, four = twice * twice;
  const int pairs = count / 2;
  const float start = x[0] + memory + TINY;
  out[0] = start;
  out[1] = x[2] + factor * x[1] + twice * start;
  for (int n = 2; n < pairs; n++) {
    out[n] = (x[2 * n] + factor * x[2 * n - 1]) + twice * (x[2 * n - 2] + factor * x[2 * n - 3]) + TINY;
  }
  float even = out[0], odd = out[1];
  out[0] *= scale;
  out[1] *= scale;
  for (int n = 2; n < pairs; n += 2) {
    even = out[n] + four * even;
    odd = out[n + 1] + four * odd;
    out[n] = even * scale;
    out[n + 1] = odd * scale;
  }
  return factor * (x[count - 1] + factor * odd);
}

#endif
