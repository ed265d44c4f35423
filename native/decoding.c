/* A thread that decodes: packets of many decoders in one batch, while JavaScript goes on. One batch at a time; everything but the decoding
 * itself is done by JavaScript's thread, and what a batch needs is copied, so that nothing of JavaScript's is touched meanwhile.
 * docs/decisions/0025-many-voices-are-decoded-beside-javascript.md */
#define _GNU_SOURCE
#include "decoder.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Of a batch; more is refused. */
#define MOST_PACKETS 4096
#define MOST_BYTES (4 * 1024 * 1024)
/* libopus keeps its arrays there; musl's own choice would be too small. */
#define STACK_BYTES (1024 * 1024)

/* A row of the table. `SAMPLES`: room for the sound, which stands in the order of the rows; `RESULT`: samples or negative, when it is done. */
enum { ROW_OFFSET, ROW_LENGTH, ROW_SAMPLES, ROW_RESULT, ROW_FIELDS };

typedef struct {
  Decoder *decoder;
  size_t offset;
  size_t length;
  int samples;
  int32_t result;
} Packet;

typedef enum { IDLE, WORKING, DONE } State;

typedef struct {
  Kind kind;
  napi_env env;
  pthread_t thread;
  bool is_running;
  /* Guards `state` and `ends`. */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  State state;
  bool ends;
  napi_threadsafe_function on_done;
  /* The batch: the thread's while `WORKING`. */
  Packet *packets;
  size_t count;
  uint8_t *bytes;
  float *sound;
  size_t samples;
} Thread;

static void decode_all(Thread *thread) {
  float *out = thread->sound;
  for (size_t n = 0; n < thread->count; n++) {
    Packet *packet = &thread->packets[n];
    packet->result = decode_packet(packet->decoder, thread->bytes + packet->offset, packet->length, out, packet->samples, 0);
    out += packet->samples;
  }
}

static void *run(void *argument) {
  Thread *thread = argument;
  pthread_mutex_lock(&thread->lock);
  for (;;) {
    while (thread->state != WORKING && !thread->ends) pthread_cond_wait(&thread->changed, &thread->lock);
    if (thread->ends) break;
    pthread_mutex_unlock(&thread->lock);
    decode_all(thread);
    pthread_mutex_lock(&thread->lock);
    thread->state = DONE;
    pthread_cond_broadcast(&thread->changed);
    /* With a queue of one, a call that is still to be made is enough. */
    napi_call_threadsafe_function(thread->on_done, NULL, napi_tsfn_nonblocking);
  }
  pthread_mutex_unlock(&thread->lock);
  return NULL;
}

/* Its decoders are JavaScript's again. The thread waits, or is no more. */
static void end_batch(Thread *thread) {
  for (size_t n = 0; n < thread->count; n++) give_back(thread->packets[n].decoder);
  free(thread->packets);
  free(thread->bytes);
  free(thread->sound);
  thread->packets = NULL;
  thread->bytes = NULL;
  thread->sound = NULL;
  thread->count = thread->samples = 0;
}

/* Once, whoever is first: `closeThread`, the garbage collector or the end of JavaScript's thread. */
static void stop(void *argument) {
  Thread *thread = argument;
  if (!thread->is_running) return;
  thread->is_running = false;
  pthread_mutex_lock(&thread->lock);
  thread->ends = true;
  pthread_cond_broadcast(&thread->changed);
  pthread_mutex_unlock(&thread->lock);
  pthread_join(thread->thread, NULL);
  napi_release_threadsafe_function(thread->on_done, napi_tsfn_abort);
  napi_remove_env_cleanup_hook(thread->env, stop, thread);
  end_batch(thread);
}

static void release(void *pointer) {
  Thread *thread = pointer;
  stop(thread);
  pthread_cond_destroy(&thread->changed);
  pthread_mutex_destroy(&thread->lock);
  free(thread);
}

/* No signal is for this thread. */
static bool begin(Thread *thread) {
  pthread_attr_t attributes;
  sigset_t all, before;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const bool began = pthread_create(&thread->thread, &attributes, run, thread) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return began;
}

/* makeThread(onDone) → thread | undefined. `onDone` is called behind each batch; it keeps no process alive. */
static napi_value make_thread(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  napi_value name;
  Thread *thread = calloc(1, sizeof *thread);
  if (thread == NULL) return NULL;
  thread->kind = KIND_THREAD;
  thread->env = env;
  pthread_mutex_init(&thread->lock, NULL);
  pthread_cond_init(&thread->changed, NULL);
  if (napi_create_string_utf8(env, "decoding", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_threadsafe_function(env, given.values[0], NULL, name, 1, 1, NULL, NULL, NULL, NULL, &thread->on_done) == napi_ok) {
    napi_unref_threadsafe_function(env, thread->on_done);
    thread->is_running = begin(thread);
    if (thread->is_running) {
      pthread_setname_np(thread->thread, "decoding");
      /* Before Node takes `on_done` away: the last hook is the first to be called. */
      napi_add_env_cleanup_hook(env, stop, thread);
      return external_of(env, thread, release);
    }
    napi_release_threadsafe_function(thread->on_done, napi_tsfn_abort);
  }
  release(thread);
  return NULL;
}

/* closeThread(thread): it ends behind the batch it has, and takes no more. */
static napi_value close_thread(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Thread *thread = pointer_of(env, given.values[0], KIND_THREAD);
  if (thread != NULL) stop(thread);
  return NULL;
}

static bool is_size(double value, double most) { return value >= 0 && value <= most; }

/* One row; false: it is not as agreed. */
static bool packet_of(napi_env env, napi_value decoders, uint32_t n, const double *row, const Bytes *bytes, Packet *packet) {
  napi_value decoder;
  if (napi_get_element(env, decoders, n, &decoder) != napi_ok) return false;
  packet->decoder = pointer_of(env, decoder, KIND_DECODER);
  if (packet->decoder == NULL || packet->decoder->is_closed) return false;
  /* An empty packet would mean a loss to libopus. */
  if (!is_size(row[ROW_OFFSET], (double)bytes->length) || !(row[ROW_LENGTH] >= 1)) return false;
  if (!is_size(row[ROW_LENGTH], (double)bytes->length - row[ROW_OFFSET])) return false;
  if (!(row[ROW_SAMPLES] >= 1) || !is_size(row[ROW_SAMPLES], MOST_SAMPLES)) return false;
  packet->offset = (size_t)row[ROW_OFFSET];
  packet->length = (size_t)row[ROW_LENGTH];
  packet->samples = (int)row[ROW_SAMPLES];
  packet->result = REFUSED;
  return true;
}

/* What the thread is to have; nothing is changed where it is not as agreed, or memory is short. */
static bool take_batch(napi_env env, Thread *thread, napi_value decoders, size_t count, const Bytes *bytes, const Doubles *table) {
  Packet *packets = calloc(count, sizeof *packets);
  size_t samples = 0;
  bool is_good = packets != NULL;
  for (size_t n = 0; is_good && n < count; n++) {
    is_good = packet_of(env, decoders, (uint32_t)n, table->data + n * ROW_FIELDS, bytes, &packets[n]);
    if (is_good) samples += (size_t)packets[n].samples;
  }
  uint8_t *copy = is_good ? malloc(bytes->length) : NULL;
  float *sound = copy == NULL ? NULL : malloc(samples * sizeof *sound);
  if (sound == NULL) {
    free(packets);
    free(copy);
    return false;
  }
  memcpy(copy, bytes->data, bytes->length);
  for (size_t n = 0; n < count; n++) packets[n].decoder->lent++;
  thread->packets = packets;
  thread->count = count;
  thread->bytes = copy;
  thread->sound = sound;
  thread->samples = samples;
  return true;
}

/* decodeBeside(thread, decoders, packets, table) → 0 | negative: there is a batch already, or something is not as agreed. As many packets as `decoders`. */
static napi_value decode_beside(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Thread *thread = pointer_of(env, given.values[0], KIND_THREAD);
  uint32_t count = 0;
  Bytes bytes;
  Doubles table;
  if (thread == NULL || !thread->is_running || thread->count > 0) return number_of(env, REFUSED);
  if (napi_get_array_length(env, given.values[1], &count) != napi_ok || count == 0 || count > MOST_PACKETS) return number_of(env, REFUSED);
  if (!bytes_of(env, given.values[2], &bytes) || bytes.length == 0 || bytes.length > MOST_BYTES) return number_of(env, REFUSED);
  if (!doubles_of(env, given.values[3], &table) || table.length < (size_t)count * ROW_FIELDS) return number_of(env, REFUSED);
  if (!take_batch(env, thread, given.values[1], count, &bytes, &table)) return number_of(env, REFUSED);
  pthread_mutex_lock(&thread->lock);
  thread->state = WORKING;
  pthread_cond_broadcast(&thread->changed);
  pthread_mutex_unlock(&thread->lock);
  return number_of(env, 0);
}

/* takeDecoded(thread, sound, table) → packets, 0: there is no batch | negative: they have no room. Waits until they are decoded. */
static napi_value take_decoded(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Thread *thread = pointer_of(env, given.values[0], KIND_THREAD);
  Samples sound;
  Doubles table;
  if (thread == NULL || !thread->is_running) return number_of(env, REFUSED);
  if (thread->count == 0) return number_of(env, 0);
  if (!samples_of(env, given.values[1], &sound) || sound.length < thread->samples) return number_of(env, REFUSED);
  if (!doubles_of(env, given.values[2], &table) || table.length < thread->count * ROW_FIELDS) return number_of(env, REFUSED);
  pthread_mutex_lock(&thread->lock);
  while (thread->state != DONE) pthread_cond_wait(&thread->changed, &thread->lock);
  thread->state = IDLE;
  pthread_mutex_unlock(&thread->lock);
  const int32_t count = (int32_t)thread->count;
  memcpy(sound.data, thread->sound, thread->samples * sizeof *thread->sound);
  for (int32_t n = 0; n < count; n++) table.data[n * ROW_FIELDS + ROW_RESULT] = thread->packets[n].result;
  end_batch(thread);
  return number_of(env, count);
}

void decoding_exports(napi_env env, napi_value exports) {
  export_function(env, exports, "makeThread", make_thread);
  export_function(env, exports, "closeThread", close_thread);
  export_function(env, exports, "decodeBeside", decode_beside);
  export_function(env, exports, "takeDecoded", take_decoded);
}
