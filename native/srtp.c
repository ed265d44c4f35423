/* SRTP: AEAD_AES_128_GCM (RFC 7714) and AES_CM_128_HMAC_SHA1_80 (RFC 3711), on the OpenSSL that this process already has: Node's own, or the
 * one its distribution links it with. Its headers are not needed, and where it lacks a function the addon says so. */
#define _GNU_SOURCE
#include "addon.h"
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PROFILE_CM 0x0001
#define PROFILE_GCM 0x0007
#define KEY_BYTES 16
#define BLOCK_BYTES 16
#define GCM_SALT_BYTES 12
#define GCM_TAG_BYTES 16
#define CM_SALT_BYTES 14
#define CM_TAG_BYTES 10
#define SHA1_BYTES 20
#define SHA1_BLOCK_BYTES 64
#define RTP_HEADER_BYTES 12
/* <openssl/evp.h> */
#define CTRL_AEAD_SET_TAG 0x11

/* <openssl/sha.h>, the same since 1998; room for more. */
typedef union {
  uint32_t words[24];
  uint8_t room[256];
} Sha1;

static struct {
  void *(*cipher_new)(void);
  void (*cipher_free)(void *context);
  int (*cipher_control)(void *context, int what, int length, void *data);
  int (*decrypt_init)(void *context, const void *kind, void *engine, const uint8_t *key, const uint8_t *vector);
  int (*decrypt)(void *context, uint8_t *out, int *written, const uint8_t *in, int length);
  int (*decrypt_end)(void *context, uint8_t *out, int *written);
  const void *(*aes_gcm)(void);
  const void *(*aes_ctr)(void);
  int (*sha1_init)(Sha1 *state);
  int (*sha1_update)(Sha1 *state, const void *data, size_t length);
  int (*sha1_end)(uint8_t *digest, Sha1 *state);
  int (*compare)(const void *one, const void *other, size_t length);
  void (*cleanse)(void *memory, size_t length);
  bool complete;
} openssl;

static pthread_once_t found = PTHREAD_ONCE_INIT;

static void find_openssl(void) {
  struct {
    const char *name;
    void *at;
  } functions[] = {
    {"EVP_CIPHER_CTX_new", &openssl.cipher_new},      {"EVP_CIPHER_CTX_free", &openssl.cipher_free},
    {"EVP_CIPHER_CTX_ctrl", &openssl.cipher_control}, {"EVP_DecryptInit_ex", &openssl.decrypt_init},
    {"EVP_DecryptUpdate", &openssl.decrypt},          {"EVP_DecryptFinal_ex", &openssl.decrypt_end},
    {"EVP_aes_128_gcm", &openssl.aes_gcm},            {"EVP_aes_128_ctr", &openssl.aes_ctr},
    {"SHA1_Init", &openssl.sha1_init},                {"SHA1_Update", &openssl.sha1_update},
    {"SHA1_Final", &openssl.sha1_end},                {"CRYPTO_memcmp", &openssl.compare},
    {"OPENSSL_cleanse", &openssl.cleanse},
  };
  bool complete = true;
  for (size_t n = 0; n < sizeof functions / sizeof *functions; n++) {
    void *function = dlsym(RTLD_DEFAULT, functions[n].name);
    if (function == NULL) complete = false;
    /* As POSIX has it: a pointer to data that is one to a function. */
    memcpy(functions[n].at, &function, sizeof function);
  }
  openssl.complete = complete;
}

typedef struct {
  Kind kind;
  int profile;
  void *context;
  uint8_t salt[BLOCK_BYTES];
  /* HMAC (RFC 2104) behind its first block, inside and outside: a packet begins with copies of them. */
  Sha1 inner;
  Sha1 outer;
} Cipher;

static void release(void *pointer) {
  Cipher *cipher = pointer;
  if (cipher->context != NULL) openssl.cipher_free(cipher->context);
  openssl.cleanse(cipher, sizeof *cipher);
  free(cipher);
}

static bool begin_hmac(Sha1 *state, const Bytes *key, uint8_t filling) {
  uint8_t block[SHA1_BLOCK_BYTES];
  memset(block, filling, sizeof block);
  for (size_t n = 0; n < key->length; n++) block[n] ^= key->data[n];
  const bool done = openssl.sha1_init(state) == 1 && openssl.sha1_update(state, block, sizeof block) == 1;
  openssl.cleanse(block, sizeof block);
  return done;
}

/* makeCipher(profile, encryption, authentication, salt) → cipher | undefined. Keys as RFC 3711 §4.3 derives them; with GCM that of
 * authentication is unused. */
static napi_value make_cipher(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  int32_t profile = 0;
  Bytes encryption, authentication, salt;
  if (!openssl.complete || given.values[0] == NULL || napi_get_value_int32(env, given.values[0], &profile) != napi_ok) return NULL;
  if (!bytes_of(env, given.values[1], &encryption) || !bytes_of(env, given.values[2], &authentication)) return NULL;
  if (!bytes_of(env, given.values[3], &salt)) return NULL;
  const bool gcm = profile == PROFILE_GCM;
  if (!gcm && profile != PROFILE_CM) return NULL;
  if (encryption.length != KEY_BYTES || salt.length != (gcm ? GCM_SALT_BYTES : CM_SALT_BYTES)) return NULL;
  if (authentication.length > SHA1_BLOCK_BYTES) return NULL;
  Cipher *cipher = calloc(1, sizeof *cipher);
  if (cipher == NULL) return NULL;
  cipher->kind = KIND_CIPHER;
  cipher->profile = profile;
  memcpy(cipher->salt, salt.data, salt.length);
  cipher->context = openssl.cipher_new();
  const void *kind = gcm ? openssl.aes_gcm() : openssl.aes_ctr();
  if (cipher->context == NULL || openssl.decrypt_init(cipher->context, kind, NULL, encryption.data, NULL) != 1 ||
      !begin_hmac(&cipher->inner, &authentication, 0x36) || !begin_hmac(&cipher->outer, &authentication, 0x5c)) {
    release(cipher);
    return NULL;
  }
  return external_of(env, cipher, release);
}

static void put32(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 24);
  at[1] = (uint8_t)(value >> 16);
  at[2] = (uint8_t)(value >> 8);
  at[3] = (uint8_t)value;
}

/* SSRC, rollover counter and sequence number, of which the vector of a packet is made with the salt. */
static void begin_vector(uint8_t *vector, size_t at, const uint8_t *packet, uint32_t rollover) {
  memcpy(vector + at, packet + 8, 4);
  put32(vector + at + 4, rollover);
  memcpy(vector + at + 8, packet + 2, 2);
}

static void mix(uint8_t *vector, const uint8_t *salt, size_t length) {
  for (size_t n = 0; n < length; n++) vector[n] ^= salt[n];
}

/* A packet: its header, what is encrypted, and the tag. */
typedef struct {
  uint8_t *header;
  size_t header_bytes;
  uint8_t *payload;
  size_t payload_bytes;
  uint8_t *tag;
  uint32_t rollover;
} Packet;

static bool open_gcm(const Cipher *cipher, const Packet *packet, uint8_t *out) {
  uint8_t vector[GCM_SALT_BYTES] = {0};
  begin_vector(vector, 2, packet->header, packet->rollover);
  mix(vector, cipher->salt, sizeof vector);
  int written = 0;
  /* OpenSSL takes no NULL for "nothing to write to", as that means additional data. */
  uint8_t nothing[BLOCK_BYTES];
  return openssl.decrypt_init(cipher->context, NULL, NULL, NULL, vector) == 1 &&
         openssl.cipher_control(cipher->context, CTRL_AEAD_SET_TAG, GCM_TAG_BYTES, packet->tag) == 1 &&
         openssl.decrypt(cipher->context, NULL, &written, packet->header, (int)packet->header_bytes) == 1 &&
         (packet->payload_bytes == 0 ||
          openssl.decrypt(cipher->context, out, &written, packet->payload, (int)packet->payload_bytes) == 1) &&
         openssl.decrypt_end(cipher->context, nothing, &written) == 1;
}

static bool is_authentic(const Cipher *cipher, const Packet *packet) {
  uint8_t digest[SHA1_BYTES], counter[4];
  put32(counter, packet->rollover);
  Sha1 state = cipher->inner;
  if (openssl.sha1_update(&state, packet->header, packet->header_bytes + packet->payload_bytes) != 1) return false;
  if (openssl.sha1_update(&state, counter, sizeof counter) != 1 || openssl.sha1_end(digest, &state) != 1) return false;
  state = cipher->outer;
  if (openssl.sha1_update(&state, digest, sizeof digest) != 1 || openssl.sha1_end(digest, &state) != 1) return false;
  return openssl.compare(digest, packet->tag, CM_TAG_BYTES) == 0;
}

static bool open_counter_mode(const Cipher *cipher, const Packet *packet, uint8_t *out) {
  if (!is_authentic(cipher, packet)) return false;
  uint8_t vector[BLOCK_BYTES] = {0};
  begin_vector(vector, 4, packet->header, packet->rollover);
  mix(vector, cipher->salt, CM_SALT_BYTES);
  int written = 0;
  return openssl.decrypt_init(cipher->context, NULL, NULL, NULL, vector) == 1 &&
         (packet->payload_bytes == 0 ||
          openssl.decrypt(cipher->context, out, &written, packet->payload, (int)packet->payload_bytes) == 1);
}

/* open(cipher, packet, headerBytes, rolloverCounter, out) → bytes | negative. `out` has room for the payload, is not a part of the packet,
 * and means nothing where the packet is refused. */
static napi_value open_packet(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  const Cipher *cipher = pointer_of(env, given.values[0], KIND_CIPHER);
  Bytes bytes, out;
  uint32_t header_bytes = 0, rollover = 0;
  if (cipher == NULL || !bytes_of(env, given.values[1], &bytes) || !bytes_of(env, given.values[4], &out)) return number_of(env, REFUSED);
  if (napi_get_value_uint32(env, given.values[2], &header_bytes) != napi_ok) return number_of(env, REFUSED);
  if (napi_get_value_uint32(env, given.values[3], &rollover) != napi_ok) return number_of(env, REFUSED);
  const bool gcm = cipher->profile == PROFILE_GCM;
  const size_t tag_bytes = gcm ? GCM_TAG_BYTES : CM_TAG_BYTES;
  if (header_bytes < RTP_HEADER_BYTES || bytes.length > INT_MAX || bytes.length < (size_t)header_bytes + tag_bytes) {
    return number_of(env, REFUSED);
  }
  const size_t payload_bytes = bytes.length - header_bytes - tag_bytes;
  if (out.length < payload_bytes) return number_of(env, REFUSED);
  const Packet packet = {
    .header = bytes.data,
    .header_bytes = header_bytes,
    .payload = bytes.data + header_bytes,
    .payload_bytes = payload_bytes,
    .tag = bytes.data + header_bytes + payload_bytes,
    .rollover = rollover,
  };
  const bool opened = gcm ? open_gcm(cipher, &packet, out.data) : open_counter_mode(cipher, &packet, out.data);
  return number_of(env, opened ? (int32_t)payload_bytes : REFUSED);
}

void srtp_exports(napi_env env, napi_value exports) {
  pthread_once(&found, find_openssl);
  napi_value complete;
  if (napi_get_boolean(env, openssl.complete, &complete) == napi_ok) napi_set_named_property(env, exports, "srtp", complete);
  export_function(env, exports, "makeCipher", make_cipher);
  export_function(env, exports, "open", open_packet);
}
