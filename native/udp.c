/* Sockets that are read here instead of by libuv: datagrams of all that have some, in one call, and silence only when somebody wants it. A socket
 * stays its owner's, who sends by it and closes it; it is to be removed before that. Linux only, as is the addon.
 * docs/decisions/0022-packets-are-read-in-batches.md */
#define _GNU_SOURCE
#include "addon.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A datagram that is longer is not reported: it crossed no network in one piece, and what is cut off is neither authentic nor sound. */
#define MOST_BYTES 4096
/* Of one socket in one call; the next call gets the others. */
#define BATCH 16
#define MOST_SOCKETS 65536
#define EVENTS 1024

/* What a receiver that was passed over by a packet says of those behind it; see `SocketReader.ts`, which writes it. */
enum {
  RULE_PACKETS,
  RULE_SSRC,
  RULE_PAYLOAD_TYPE,
  RULE_LEVEL_ID,
  RULE_FROM_LEVEL,
  RULE_TO_LEVEL,
  RULE_FROM_SILENT_LEVEL,
  RULE_LEVELLED_BYTES,
  RULE_LEVELLED_UNTIL,
  RULE_TINY_BYTES,
  RULE_SIZED_BYTES,
  RULE_SIZED_UNTIL,
  RULE_TAG_BYTES,
  RULE_FIELDS
};

/* A row of the table. `SOURCE`: bytes of text behind the datagram that say where it came from; 0 for RTP. */
enum { ROW_ID, ROW_OFFSET, ROW_LENGTH, ROW_AT, ROW_SOURCE, ROW_PORT, ROW_FIELDS };
#define MORE 0x10000

/* What a socket may have waiting. */
#define MOST_HELD 32
#define HELD_BYTES 6144

typedef struct {
  uint16_t offset;
  uint16_t length;
  double at;
} Held;

typedef struct {
  /* -1: free. */
  int fd;
  size_t held;
  size_t held_bytes;
  /* The first of them is due then. */
  double due;
  uint8_t *memory;
  Held *datagrams;
} Socket;

typedef struct {
  Kind kind;
  int poll;
  Socket *sockets;
  size_t size;
  /* Of all sockets. */
  size_t holding;
  struct mmsghdr messages[BATCH];
  struct iovec vectors[BATCH];
  struct sockaddr_storage sources[BATCH];
  uint8_t room[BATCH][MOST_BYTES];
} Reader;

static void forget(Reader *reader, Socket *socket) {
  if (socket->held > 0) reader->holding--;
  free(socket->memory);
  *socket = (Socket){.fd = -1};
}

static void release(void *pointer) {
  Reader *reader = pointer;
  for (size_t n = 0; n < reader->size; n++) free(reader->sockets[n].memory);
  free(reader->sockets);
  close(reader->poll);
  free(reader);
}

/* makeReader() → reader | undefined */
static napi_value make_reader(napi_env env, napi_callback_info info) {
  (void)info;
  Reader *reader = calloc(1, sizeof *reader);
  if (reader == NULL) return NULL;
  reader->kind = KIND_READER;
  reader->poll = epoll_create1(EPOLL_CLOEXEC);
  if (reader->poll < 0) {
    free(reader);
    return NULL;
  }
  for (size_t n = 0; n < BATCH; n++) {
    reader->vectors[n] = (struct iovec){.iov_base = reader->room[n], .iov_len = MOST_BYTES};
    reader->messages[n].msg_hdr.msg_iov = &reader->vectors[n];
    reader->messages[n].msg_hdr.msg_iovlen = 1;
    reader->messages[n].msg_hdr.msg_name = &reader->sources[n];
  }
  return external_of(env, reader, release);
}

/* The socket under a number; NULL where there is none. */
static Socket *socket_of(napi_env env, Reader *reader, napi_value value) {
  uint32_t id = 0;
  if (reader == NULL || napi_get_value_uint32(env, value, &id) != napi_ok || id >= reader->size) return NULL;
  return reader->sockets[id].fd < 0 ? NULL : &reader->sockets[id];
}

static bool grow(Reader *reader, size_t wanted) {
  if (wanted <= reader->size) return true;
  size_t size = reader->size == 0 ? 16 : reader->size;
  while (size < wanted) size *= 2;
  Socket *sockets = realloc(reader->sockets, size * sizeof *sockets);
  if (sockets == NULL) return false;
  for (size_t n = reader->size; n < size; n++) sockets[n] = (Socket){.fd = -1};
  reader->sockets = sockets;
  reader->size = size;
  return true;
}

/* addSocket(reader, id, fd) → 0 | negative. `id` is a number that is free. */
static napi_value add_socket(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Reader *reader = pointer_of(env, given.values[0], KIND_READER);
  uint32_t id = 0;
  int32_t fd = -1;
  if (reader == NULL || napi_get_value_uint32(env, given.values[1], &id) != napi_ok || id >= MOST_SOCKETS) return number_of(env, REFUSED);
  if (napi_get_value_int32(env, given.values[2], &fd) != napi_ok || fd < 0) return number_of(env, REFUSED);
  int type = 0;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_DGRAM) return number_of(env, REFUSED);
  if (!grow(reader, (size_t)id + 1) || reader->sockets[id].fd >= 0) return number_of(env, REFUSED);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = id};
  if (epoll_ctl(reader->poll, EPOLL_CTL_ADD, fd, &event) != 0) return number_of(env, REFUSED);
  /* Whoever had this number was closed without a word, and with that left the poll. */
  for (size_t n = 0; n < reader->size; n++) {
    if (reader->sockets[n].fd == fd) forget(reader, &reader->sockets[n]);
  }
  reader->sockets[id].fd = fd;
  return number_of(env, 0);
}

/* removeSocket(reader, id) → 0 | negative. What waits is gone. */
static napi_value remove_socket(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Reader *reader = pointer_of(env, given.values[0], KIND_READER);
  Socket *socket = socket_of(env, reader, given.values[1]);
  if (socket == NULL) return number_of(env, REFUSED);
  epoll_ctl(reader->poll, EPOLL_CTL_DEL, socket->fd, NULL);
  forget(reader, socket);
  return number_of(env, 0);
}

/* RFC 7983 §7, RFC 5761 §4. */
static bool is_rtp(const uint8_t *packet, size_t length) {
  return length >= 2 && packet[0] >= 128 && packet[0] < 192 && (packet[1] < 192 || packet[1] > 223);
}

static uint32_t read16(const uint8_t *at) { return ((uint32_t)at[0] << 8) | at[1]; }

/* Header with contributing sources and extension; 0: there is less. */
static size_t header_of(const uint8_t *packet, size_t length) {
  size_t bytes = 12 + 4 * (size_t)(packet[0] & 0x0f);
  if ((packet[0] & 0x10) != 0) {
    if (bytes + 4 > length) return 0;
    bytes += 4 + 4 * (size_t)read16(packet + bytes + 2);
  }
  return bytes <= length ? bytes : 0;
}

/* As `RtpDatagram.audioLevel` reads it; -1: there is none. */
static int level_of(const uint8_t *packet, size_t header_bytes, unsigned id) {
  if ((packet[0] & 0x10) == 0) return -1;
  size_t at = 12 + 4 * (size_t)(packet[0] & 0x0f);
  const uint32_t profile = read16(packet + at);
  const bool is_long = profile >> 4 == 0x100;
  if (!is_long && profile != 0xbede) return -1;
  for (at += 4; at < header_bytes;) {
    const unsigned byte = packet[at];
    if (byte == 0) {
      at++;
      continue;
    }
    const unsigned found = is_long ? byte : byte >> 4;
    if (!is_long && found == 15) return -1;
    if (is_long && at + 1 >= header_bytes) return -1;
    const size_t bytes = is_long ? packet[at + 1] : (size_t)(byte & 0x0f) + 1;
    at += is_long ? 2 : 1;
    if (found == id) return bytes == 0 || at >= header_bytes ? -1 : packet[at] & 0x7f;
    at += bytes;
  }
  return -1;
}

/* Whether a packet may wait, and until when; a negative number: it may not. */
static double may_wait(const Socket *socket, const double *rule, const uint8_t *packet, size_t length, double now) {
  if (!((double)socket->held < rule[RULE_PACKETS])) return -1;
  const size_t header_bytes = header_of(packet, length);
  if (header_bytes == 0 || (packet[1] & 0x7f) != rule[RULE_PAYLOAD_TYPE]) return -1;
  if ((double)((read16(packet + 8) << 16) | read16(packet + 10)) != rule[RULE_SSRC]) return -1;
  const double bytes = (double)length - (double)header_bytes - rule[RULE_TAG_BYTES];
  const int level = rule[RULE_LEVEL_ID] > 0 ? level_of(packet, header_bytes, (unsigned)rule[RULE_LEVEL_ID]) : -1;
  double until = rule[RULE_LEVELLED_UNTIL];
  if (level >= 0) {
    const bool is_silent = (level >= rule[RULE_FROM_LEVEL] && level <= rule[RULE_TO_LEVEL]) || level >= rule[RULE_FROM_SILENT_LEVEL];
    if (!is_silent || bytes > rule[RULE_LEVELLED_BYTES]) return -1;
  } else if (bytes > rule[RULE_TINY_BYTES]) {
    if (bytes > rule[RULE_SIZED_BYTES]) return -1;
    until = rule[RULE_SIZED_UNTIL];
  }
  return now < until ? until : -1;
}

/* Whether it is kept: there was room. */
static bool hold(Reader *reader, Socket *socket, const uint8_t *packet, size_t length, double now, double until) {
  if (socket->held >= MOST_HELD || length > HELD_BYTES - socket->held_bytes) return false;
  if (socket->memory == NULL) {
    socket->memory = malloc(MOST_HELD * sizeof(Held) + HELD_BYTES);
    if (socket->memory == NULL) return false;
    socket->datagrams = (Held *)socket->memory;
  }
  if (socket->held == 0) reader->holding++;
  if (socket->held == 0 || until < socket->due) socket->due = until;
  memcpy(socket->memory + MOST_HELD * sizeof(Held) + socket->held_bytes, packet, length);
  socket->datagrams[socket->held++] = (Held){.offset = (uint16_t)socket->held_bytes, .length = (uint16_t)length, .at = now};
  socket->held_bytes += length;
  return true;
}

/* What is told to JavaScript. */
typedef struct {
  Bytes slab;
  double *table;
  size_t rows;
  size_t row;
  size_t used;
} Report;

/* The most that a socket has to tell in one call. */
static bool has_room(const Report *report) {
  return report->rows - report->row >= MOST_HELD + BATCH &&
         report->slab.length - report->used >= HELD_BYTES + BATCH * (MOST_BYTES + INET6_ADDRSTRLEN);
}

static double *tell(Report *report, size_t id, const uint8_t *datagram, size_t length, double at) {
  double *row = report->table + ROW_FIELDS * report->row++;
  memcpy(report->slab.data + report->used, datagram, length);
  row[ROW_ID] = (double)id;
  row[ROW_OFFSET] = (double)report->used;
  row[ROW_LENGTH] = (double)length;
  row[ROW_AT] = at;
  row[ROW_SOURCE] = 0;
  row[ROW_PORT] = 0;
  report->used += length;
  return row;
}

static void tell_source(Report *report, double *row, const struct sockaddr_storage *source) {
  char *text = (char *)report->slab.data + report->used;
  const struct sockaddr_in *four = (const struct sockaddr_in *)source;
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)source;
  const bool is_six = source->ss_family == AF_INET6;
  const void *address = is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr;
  if (inet_ntop(is_six ? AF_INET6 : AF_INET, address, text, INET6_ADDRSTRLEN) == NULL) return;
  row[ROW_SOURCE] = (double)strlen(text);
  row[ROW_PORT] = ntohs(is_six ? six->sin6_port : four->sin_port);
  report->used += strlen(text);
}

/* What waited, in its order. */
static void tell_held(Reader *reader, Report *report, size_t id) {
  Socket *socket = &reader->sockets[id];
  if (socket->held == 0) return;
  const uint8_t *bytes = socket->memory + MOST_HELD * sizeof(Held);
  for (size_t n = 0; n < socket->held; n++) {
    const Held *one = &socket->datagrams[n];
    tell(report, id, bytes + one->offset, one->length, one->at);
  }
  socket->held = socket->held_bytes = 0;
  reader->holding--;
}

/* Whether it may have more. */
static bool read_socket(Reader *reader, Report *report, size_t id, const double *rule, double now) {
  Socket *socket = &reader->sockets[id];
  for (size_t n = 0; n < BATCH; n++) reader->messages[n].msg_hdr.msg_namelen = sizeof reader->sources[n];
  /* An error is of one datagram that was sent, or of a socket that is about to be closed: neither says that nothing comes any more. */
  const int count = recvmmsg(socket->fd, reader->messages, BATCH, MSG_DONTWAIT, NULL);
  for (int n = 0; n < count; n++) {
    const struct mmsghdr *message = &reader->messages[n];
    const uint8_t *datagram = reader->room[n];
    if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
    const bool rtp = is_rtp(datagram, message->msg_len);
    if (rtp && rule != NULL) {
      const double until = may_wait(socket, rule, datagram, message->msg_len, now);
      if (until >= 0 && hold(reader, socket, datagram, message->msg_len, now, until)) continue;
      /* What it said is over with this one: the receiver says it anew. */
      rule = NULL;
    }
    tell_held(reader, report, id);
    double *row = tell(report, id, datagram, message->msg_len, now);
    if (!rtp) tell_source(report, row, &reader->sources[n]);
  }
  return count == BATCH;
}

static bool report_of(napi_env env, napi_value slab, napi_value table, Report *report) {
  Doubles rows;
  if (!bytes_of(env, slab, &report->slab) || !doubles_of(env, table, &rows)) return false;
  report->table = rows.data;
  report->rows = rows.length / ROW_FIELDS;
  report->row = report->used = 0;
  return has_room(report);
}

/* read(reader, now, slab, table, rules) → rows | MORE: called again at once, it would have more to tell | negative. */
static napi_value read_sockets(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Reader *reader = pointer_of(env, given.values[0], KIND_READER);
  double now = 0;
  Report report;
  Doubles rules;
  if (reader == NULL || napi_get_value_double(env, given.values[1], &now) != napi_ok) return number_of(env, REFUSED);
  if (!report_of(env, given.values[2], given.values[3], &report) || !doubles_of(env, given.values[4], &rules)) return number_of(env, REFUSED);
  struct epoll_event events[EVENTS];
  const int ready = epoll_wait(reader->poll, events, EVENTS, 0);
  bool more = ready == EVENTS;
  for (int n = 0; n < ready; n++) {
    const size_t id = events[n].data.u32;
    if (id >= reader->size || reader->sockets[id].fd < 0) continue;
    if (!has_room(&report)) {
      more = true;
      break;
    }
    const double *rule = (id + 1) * RULE_FIELDS <= rules.length ? rules.data + id * RULE_FIELDS : NULL;
    if (read_socket(reader, &report, id, rule, now)) more = true;
  }
  for (size_t id = 0, left = reader->holding; left > 0 && id < reader->size; id++) {
    if (reader->sockets[id].held == 0) continue;
    left--;
    if (reader->sockets[id].due > now) continue;
    if (!has_room(&report)) {
      more = true;
      break;
    }
    tell_held(reader, &report, id);
  }
  return number_of(env, (int32_t)report.row | (more ? MORE : 0));
}

/* wakeSocket(reader, id, slab, table) → rows of what waited | negative. */
static napi_value wake_socket(napi_env env, napi_callback_info info) {
  Arguments given = arguments_of(env, info);
  Reader *reader = pointer_of(env, given.values[0], KIND_READER);
  Socket *socket = socket_of(env, reader, given.values[1]);
  Report report;
  if (socket == NULL || !report_of(env, given.values[2], given.values[3], &report)) return number_of(env, REFUSED);
  tell_held(reader, &report, (size_t)(socket - reader->sockets));
  return number_of(env, (int32_t)report.row);
}

void udp_exports(napi_env env, napi_value exports) {
  export_function(env, exports, "makeReader", make_reader);
  export_function(env, exports, "addSocket", add_socket);
  export_function(env, exports, "removeSocket", remove_socket);
  export_function(env, exports, "readSockets", read_sockets);
  export_function(env, exports, "wakeSocket", wake_socket);
}
