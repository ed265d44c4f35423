/* The module: what JavaScript cannot do cheaply for every packet. `src/layers/NativeAddon.ts` is its only caller and says what it does. */
#include "addon.h"
#include <stdlib.h>

Arguments arguments_of(napi_env env, napi_callback_info info) {
  Arguments arguments = {{NULL}};
  size_t count = MOST_ARGUMENTS;
  napi_get_cb_info(env, info, &count, arguments.values, NULL, NULL);
  return arguments;
}

static bool array_of(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length) {
  napi_typedarray_type type;
  return value != NULL && napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) == napi_ok && type == wanted;
}

bool bytes_of(napi_env env, napi_value value, Bytes *bytes) {
  return array_of(env, value, napi_uint8_array, (void **)&bytes->data, &bytes->length);
}

bool samples_of(napi_env env, napi_value value, Samples *samples) {
  return array_of(env, value, napi_float32_array, (void **)&samples->data, &samples->length);
}

bool doubles_of(napi_env env, napi_value value, Doubles *doubles) {
  return array_of(env, value, napi_float64_array, (void **)&doubles->data, &doubles->length);
}

/* Freed with the external, or never seen by JavaScript. */
typedef struct {
  void (*release)(void *pointer);
} Release;

static void finalize(napi_env env, void *pointer, void *hint) {
  (void)env;
  Release *release = hint;
  release->release(pointer);
  free(release);
}

napi_value external_of(napi_env env, void *pointer, void (*release)(void *pointer)) {
  napi_value external = NULL;
  Release *hint = malloc(sizeof *hint);
  if (hint != NULL) {
    hint->release = release;
    if (napi_create_external(env, pointer, finalize, hint, &external) == napi_ok) return external;
    free(hint);
  }
  release(pointer);
  return NULL;
}

void *pointer_of(napi_env env, napi_value value, Kind kind) {
  void *pointer = NULL;
  if (value == NULL || napi_get_value_external(env, value, &pointer) != napi_ok || pointer == NULL) return NULL;
  return *(const Kind *)pointer == kind ? pointer : NULL;
}

napi_value number_of(napi_env env, int32_t number) {
  napi_value value = NULL;
  napi_create_int32(env, number, &value);
  return value;
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback call) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, NULL, &function) == napi_ok) {
    napi_set_named_property(env, exports, name, function);
  }
}

/* Once for every thread that loads it; nothing is shared between them but constants. */
NAPI_MODULE_INIT() {
  opus_exports(env, exports);
  decoding_exports(env, exports);
  srtp_exports(env, exports);
  udp_exports(env, exports);
  orphan_exports(env, exports);
  memory_exports(env, exports);
  return exports;
}
