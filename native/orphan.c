/* A thread that ends this process by force when its parent has been gone for longer than its end may take, whatever JavaScript does. A worker of
 * Node's could do the same, with a heap of its own: 9 MB in every runner. `src/layers/Orphan.ts` */
#define _GNU_SOURCE
#include "addon.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 1000
/* It calls next to nothing; what threads of this process keep for themselves lies in it too. */
#define STACK_BYTES (128 * 1024)
/* Nobody has said yet how long an end takes. */
#define FOREVER INT64_MAX
/* Of a number of JavaScript's; what is more is none. */
#define MOST_MS 9007199254740991.0

/* Of the process: it has one parent. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_watched;
static atomic_int_least64_t grace_ms = FOREVER;

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *run(void *argument) {
  const pid_t parent = (pid_t)(intptr_t)argument;
  const struct timespec look = {LOOK_MS / 1000, LOOK_MS % 1000 * 1000000};
  int64_t alone_since_ms = -1;
  for (;;) {
    nanosleep(&look, NULL);
    if (getppid() == parent) continue;
    if (alone_since_ms < 0) alone_since_ms = now_ms();
    /* Not `exit`: that waits for other threads. */
    if (now_ms() - alone_since_ms >= atomic_load(&grace_ms)) kill(getpid(), SIGKILL);
  }
  return NULL;
}

static bool begin(pid_t parent) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all, before;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* Signals are Node's, on its own threads. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool began = pthread_create(&thread, &attributes, run, (void *)(intptr_t)parent) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (began) pthread_setname_np(thread, "orphan");
  return began;
}

/* watchParent(pid) → 0 | negative: no process can have that id, or the system gives no thread. Once is enough: it is watched until this process ends. */
static napi_value watch_parent(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  int32_t pid = 0;
  if (napi_get_value_int32(env, given.values[0], &pid) != napi_ok || pid <= 0) return number_of(env, REFUSED);
  pthread_mutex_lock(&lock);
  if (!is_watched) is_watched = begin((pid_t)pid);
  const bool is_good = is_watched;
  pthread_mutex_unlock(&lock);
  return number_of(env, is_good ? 0 : REFUSED);
}

/* endsWithin(ms) → 0 | negative: that is no time. So long after its parent this process may go on. */
static napi_value ends_within(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  double ms = 0;
  if (napi_get_value_double(env, given.values[0], &ms) != napi_ok || !(ms >= 0 && ms <= MOST_MS)) return number_of(env, REFUSED);
  atomic_store(&grace_ms, (int64_t)ms);
  return number_of(env, 0);
}

void orphan_exports(napi_env env, napi_value exports) {
  export_function(env, exports, "watchParent", watch_parent);
  export_function(env, exports, "endsWithin", ends_within);
}
