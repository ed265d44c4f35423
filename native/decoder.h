/* A decoder of libopus, as `opus.c` and `decoding.c` share it. */
#ifndef PARLANCE_DECODER_H
#define PARLANCE_DECODER_H

#include "addon.h"
#include <opus.h>

#define SAMPLE_RATE 24000
/* 120 ms, the longest packet there is. */
#define MOST_SAMPLES (SAMPLE_RATE * 120 / 1000)

typedef struct {
  Kind kind;
  /* NULL: closed. */
  OpusDecoder *opus;
  /* How the last sample of one packet was bent, for the first of the next. */
  float clip;
  /* Packets of it that another thread has: only that one decodes meanwhile. All else here belongs to JavaScript's thread. */
  size_t lent;
  bool is_closed;
  bool is_forgotten;
} Decoder;

/* Samples, or negative. Like `opus_decode`, which gives integers, it bends what is louder than full scale instead of letting it out. */
int32_t decode_packet(Decoder *decoder, const uint8_t *packet, size_t length, float *out, int samples, int fec);

/* The other thread is done with one packet of it. */
void give_back(Decoder *decoder);

#endif
