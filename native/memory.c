/* What the C library keeps of memory that was freed, for whoever asks next. */
#include "addon.h"
#include <malloc.h>

/* trimMemory(): gives what is free back to the system, of all threads. Takes a few ms; nothing of it is lost, what is needed again is asked for again. */
static napi_value trim_memory(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return NULL;
}

void memory_exports(napi_env env, napi_value exports) {
  export_function(env, exports, "trimMemory", trim_memory);
}
