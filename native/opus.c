/* libopus, straight to 24 kHz mono float32 in memory of the caller. */
#include "decoder.h"
#include <limits.h>
#include <stdlib.h>

/* Concealment comes in steps of 2.5 ms. */
#define STEP_SAMPLES (SAMPLE_RATE / 400)

static void close_now(Decoder *decoder) {
  if (decoder->opus != NULL) opus_decoder_destroy(decoder->opus);
  decoder->opus = NULL;
}

static void release(void *pointer) {
  Decoder *decoder = pointer;
  decoder->is_forgotten = true;
  if (decoder->lent > 0) return;
  close_now(decoder);
  free(decoder);
}

void give_back(Decoder *decoder) {
  if (--decoder->lent > 0) return;
  if (decoder->is_forgotten) release(decoder);
  else if (decoder->is_closed) close_now(decoder);
}

/* makeDecoder() → decoder | undefined */
static napi_value make_decoder(napi_env env, napi_callback_info info) {
  (void)info;
  Decoder *decoder = calloc(1, sizeof *decoder);
  if (decoder == NULL) return NULL;
  int error = OPUS_OK;
  decoder->kind = KIND_DECODER;
  decoder->opus = opus_decoder_create(SAMPLE_RATE, 1, &error);
  if (decoder->opus == NULL) {
    free(decoder);
    return NULL;
  }
  return external_of(env, decoder, release);
}

/* closeDecoder(decoder): its memory is free at once, or when it is given back, and it decodes nothing more. */
static napi_value close_decoder(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Decoder *decoder = pointer_of(env, given.values[0], KIND_DECODER);
  if (decoder == NULL) return NULL;
  decoder->is_closed = true;
  if (decoder->lent == 0) close_now(decoder);
  return NULL;
}

int32_t decode_packet(Decoder *decoder, const uint8_t *packet, size_t length, float *out, int samples, int fec) {
  const int decoded = opus_decode_float(decoder->opus, packet, (opus_int32)length, out, samples, fec);
  if (decoded > 0) opus_pcm_soft_clip(out, decoded, 1, &decoder->clip);
  return decoded;
}

/* `packet` NULL: it was lost. */
static int32_t decode_into(Decoder *decoder, const Bytes *packet, Samples out, int samples, int fec) {
  if (decoder == NULL || decoder->is_closed || decoder->lent > 0) return REFUSED;
  if (packet == NULL) return decode_packet(decoder, NULL, 0, out.data, samples, fec);
  return decode_packet(decoder, packet->data, packet->length, out.data, samples, fec);
}

/* A packet libopus may be given: an empty one would mean a loss to it. */
static bool packet_of(napi_env env, napi_value value, Bytes *packet) {
  return bytes_of(env, value, packet) && packet->length > 0 && packet->length <= INT_MAX;
}

/* Whole steps that are to be made up. */
static bool gap_of(napi_env env, napi_value value, Samples *out) {
  return samples_of(env, value, out) && out->length > 0 && out->length <= MOST_SAMPLES && out->length % STEP_SAMPLES == 0;
}

/* decode(decoder, packet, out) → samples | negative. A packet longer than `out` is refused and changes nothing. */
static napi_value decode(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Bytes packet;
  Samples out;
  if (!packet_of(env, given.values[1], &packet) || !samples_of(env, given.values[2], &out) || out.length == 0) {
    return number_of(env, REFUSED);
  }
  const int room = out.length < MOST_SAMPLES ? (int)out.length : MOST_SAMPLES;
  Decoder *decoder = pointer_of(env, given.values[0], KIND_DECODER);
  return number_of(env, decode_into(decoder, &packet, out, room, 0));
}

/* conceal(decoder, out) → samples | negative: what was lost, `out` long, made of what came before. */
static napi_value conceal(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Samples out;
  if (!gap_of(env, given.values[1], &out)) return number_of(env, REFUSED);
  Decoder *decoder = pointer_of(env, given.values[0], KIND_DECODER);
  return number_of(env, decode_into(decoder, NULL, out, (int)out.length, 0));
}

/* recover(decoder, next, out) → samples | negative: what was lost, `out` long, of what the packet behind it repeats (FEC). */
static napi_value recover(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Bytes packet;
  Samples out;
  if (!packet_of(env, given.values[1], &packet) || !gap_of(env, given.values[2], &out)) return number_of(env, REFUSED);
  Decoder *decoder = pointer_of(env, given.values[0], KIND_DECODER);
  return number_of(env, decode_into(decoder, &packet, out, (int)out.length, 1));
}

void opus_exports(napi_env env, napi_value exports) {
  napi_value version;
  if (napi_create_string_utf8(env, opus_get_version_string(), NAPI_AUTO_LENGTH, &version) == napi_ok) {
    napi_set_named_property(env, exports, "opus", version);
  }
  export_function(env, exports, "makeDecoder", make_decoder);
  export_function(env, exports, "closeDecoder", close_decoder);
  export_function(env, exports, "decode", decode);
  export_function(env, exports, "conceal", conceal);
  export_function(env, exports, "recover", recover);
}
