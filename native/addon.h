/* What the parts of the addon share. Everything here may be called with whatever JavaScript holds: nothing throws, nothing is read or
 * written outside of what was given, and every refusal is a negative number or `undefined`. */
#ifndef PARLANCE_ADDON_H
#define PARLANCE_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a call answers that was not made as agreed; libopus has its own below 0 as well. */
#define REFUSED (-1000)
#define MOST_ARGUMENTS 5

/* First in whatever an external of ours points to, so that one kind is never taken for the other. */
typedef enum { KIND_DECODER = 0x50444543, KIND_CIPHER = 0x50434950, KIND_READER = 0x50524452, KIND_THREAD = 0x50544852 } Kind;

typedef struct {
  napi_value values[MOST_ARGUMENTS];
} Arguments;

typedef struct {
  uint8_t *data;
  size_t length;
} Bytes;

typedef struct {
  float *data;
  size_t length;
} Samples;

typedef struct {
  double *data;
  size_t length;
} Doubles;

/* The arguments of a call; those that were not given are `undefined`. */
Arguments arguments_of(napi_env env, napi_callback_info info);
bool bytes_of(napi_env env, napi_value value, Bytes *bytes);
bool samples_of(napi_env env, napi_value value, Samples *samples);
bool doubles_of(napi_env env, napi_value value, Doubles *doubles);
/* What an external of this kind points to; NULL for anything else. */
void *pointer_of(napi_env env, napi_value value, Kind kind);
/* An external that frees `pointer` with the last reference to it. Frees it at once and answers NULL where none can be made. */
napi_value external_of(napi_env env, void *pointer, void (*release)(void *pointer));
napi_value number_of(napi_env env, int32_t number);
void export_function(napi_env env, napi_value exports, const char *name, napi_callback call);

void opus_exports(napi_env env, napi_value exports);
void decoding_exports(napi_env env, napi_value exports);
void srtp_exports(napi_env env, napi_value exports);
void udp_exports(napi_env env, napi_value exports);
void orphan_exports(napi_env env, napi_value exports);
void memory_exports(napi_env env, napi_value exports);

#endif
