/**
 * Where the loops of `faster.h` go into libopus 1.3.1: in front of the lines from `from` to before `until`, which are left to other
 * processors. A file that does not have these lines stays as it is.
 */
const insertions = [
  {
    file: "silk/decode_core.c",
    from: "        for( i = 0; i < psDec->subfr_length; i++ ) {\n            /* Short-term prediction */",
    until: "        /* Update LPC filter state */",
    call: "faster_synthesis(&sLPC_Q14[MAX_LPC_ORDER], pres_Q14, A_Q12_tmp, psDec->LPC_order, psDec->subfr_length, Gain_Q10, pxq);",
    where: "psDec->subfr_length % 4 == 0"
  },
  {
    file: "silk/resampler_private_up2_HQ.c",
    from: "    /* Internal variables and state are in Q10 format */",
    until: "}\n\nvoid silk_resampler_private_up2_HQ_wrapper",
    call: "faster_double(S, out, in, len, silk_resampler_up2_hq_0, silk_resampler_up2_hq_1);",
    where: "1"
  },
  {
    file: "silk/resampler_private_IIR_FIR.c",
    from: "    /* Interpolate upsampled signal and store in output array */",
    until: "    return out;",
    call: "out = faster_interpolation(out, buf, max_index_Q16, index_increment_Q16, silk_resampler_frac_FIR_12);",
    where: "1"
  },
  {
    file: "celt/celt_decoder.c",
    from: "      if (downsample>1)\n      {\n         /* Shortcut for the standard",
    until: "      mem[c] = m;",
    call: "m = faster_deemphasis(x, y, N, coef0, m, 1/CELT_SIG_SCALE);",
    where: "downsample == 2 && C == 1 && N % 4 == 0 && N > 4"
  }
]

/** The source with the faster loop in front of its own; `undefined`: none of ours, or not the version that is known here. */
export const fasterSource = (file, text) => {
  const insertion = process.arch === "x64" ? insertions.find((one) => one.file === file) : undefined
  if (insertion === undefined) return undefined
  const { call, from, until, where } = insertion
  const start = text.indexOf(from)
  const end = text.indexOf(until, start)
  if (start < 0 || end < 0) return undefined
  const before = text.slice(0, start)
  const headersEnd = before.indexOf("\n", before.lastIndexOf("#include ")) + 1
  return [
    `${before.slice(0, headersEnd)}#include "faster.h"\n${before.slice(headersEnd)}`,
    `if (faster_here() && ${where}) { ${call} } else {\n${text.slice(start, end)}}\n`,
    text.slice(end)
  ].join("")
}
