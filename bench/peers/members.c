/* The load of the benchmarks of rooms: members that count what they get, in one thread over epoll.
 *
 * Standard input: a line `PORT COUNT RECEIVE_BUFFER`, then COUNT lines with the paths of the sockets; answered with
 * `{"opened": N, "refused": N}` when each is answered. Then commands, each answered with a line of JSON:
 *   wait MESSAGES SECONDS   until each member has that many, or the time is over; counts from then on begin anew
 *   reach MESSAGES SECONDS  the same without counting anew; answered with {}
 *   stop PLACE              member PLACE is not read any more
 *   quit
 * A member looks at the heads of frames, and in texts that begin with {"type":"message" at "seq": and at the time of
 * sending, an @ with nanoseconds of CLOCK_MONOTONIC in the content. Sockets are on 127.0.0.1; pings are answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, PIECE = 1 << 18, HELD = 1 << 17, AT_A_TIME = 50, TIMES = 1 << 22, LAST = 1 << 20 };

struct member {
    int fd, open, refused;
    char *path, *held; /* held: a part of a frame or of the answer's head; only while there is one */
    size_t held_size;
    int64_t expected, got, lost, doubled, unordered;
};

static struct member *members;
static int count, opened, refused, started, port, epoll, receive_buffer, closed;
static uint32_t times[TIMES]; /* microseconds from sending to arrival, of each delivery */
static size_t time_count;
static int64_t last_seen[LAST], sent_at[LAST], first_seq; /* by seq - first_seq: the newest arrival, in nanoseconds */
static int64_t bytes, reads;

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static double cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void start(int place) {
    struct member *one = &members[place];
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[1024];
    int on = 1;
    one->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (one->fd < 0) fail("socket");
    if (receive_buffer) setsockopt(one->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (connect(one->fd, (struct sockaddr *)&where, sizeof where)) fail("connect");
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        one->path, port);
    if (send(one->fd, request, (size_t)size, MSG_NOSIGNAL) != size) fail("send");
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)place};
    epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &event);
}

static void start_next(void) {
    while (started < count && started - opened - refused < AT_A_TIME) start(started++);
}

static void note(struct member *one, const char *text, size_t size, int64_t at) {
    if (size < 17 || memcmp(text, "{\"type\":\"message\"", 17)) return;
    const char *mark = memmem(text, size, "\"seq\":", 6), *sent = memchr(text, '@', size);
    if (!mark) return;
    int64_t seq = strtoll(mark + 6, NULL, 10), since = sent ? strtoll(sent + 1, NULL, 10) : 0;
    one->got++;
    if (one->expected && seq > one->expected) one->lost += seq - one->expected;
    if (one->expected && seq == one->expected - 1) one->doubled++;
    if (one->expected && seq < one->expected - 1) one->unordered++;
    if (seq >= one->expected) one->expected = seq + 1;
    if (since && time_count < TIMES) times[time_count++] = (uint32_t)((at - since) / 1000);
    if (!first_seq) first_seq = seq;
    if (since && seq >= first_seq && seq - first_seq < LAST) {
        last_seen[seq - first_seq] = at;
        sent_at[seq - first_seq] = since;
    }
}

/* Walk over complete frames; how many bytes they take. */
static size_t walk(struct member *one, const unsigned char *data, size_t size, int64_t at) {
    size_t position = 0;
    while (size - position >= 2) {
        size_t length = data[position + 1], start = position + 2;
        if (length == 126 && size - position >= 4) {
            length = (size_t)data[start] << 8 | data[start + 1];
            start += 2;
        } else if (length == 127 && size - position >= 10) {
            length = 0;
            for (int i = 0; i < 8; i++) length = length << 8 | data[start + (size_t)i];
            start += 8;
        } else if (length > 125) {
            break;
        }
        if (size < start + length) break;
        if (data[position] == 0x89 && length < 126) {
            unsigned char pong[132] = {0x8A, (unsigned char)(0x80 | length)}; /* masked with zeros */
            memcpy(pong + 6, data + start, length);
            send(one->fd, pong, 6 + length, MSG_NOSIGNAL);
        } else if (data[position] == 0x81) {
            note(one, (const char *)data + start, length, at);
        }
        position = start + length;
    }
    return position;
}

static size_t shake(struct member *one, const char *data, size_t size) {
    const char *stop = memmem(data, size, "\r\n\r\n", 4);
    if (!stop) return 0;
    one->open = !memcmp(data, "HTTP/1.1 101", 12);
    one->refused = !one->open;
    opened += one->open;
    refused += one->refused;
    return (size_t)(stop - data) + 4;
}

static void take(struct member *one) {
    static char piece[HELD + PIECE];
    if (one->held_size) memcpy(piece, one->held, one->held_size);
    ssize_t got = recv(one->fd, piece + one->held_size, PIECE, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        if (!one->open && !one->refused) one->refused = 1, refused++;
        epoll_ctl(epoll, EPOLL_CTL_DEL, one->fd, NULL);
        close(one->fd);
        closed++;
        return;
    }
    bytes += got;
    reads++;
    size_t size = one->held_size + (size_t)got, done = 0;
    if (!one->open && !one->refused) done = shake(one, piece, size);
    if (one->open) done += walk(one, (unsigned char *)piece + done, size - done, now());
    if (one->refused) done = size;
    one->held_size = size - done;
    if (one->held_size > HELD) fail("a frame is too long");
    free(one->held);
    one->held = NULL;
    if (one->held_size) {
        one->held = malloc(one->held_size);
        if (!one->held) fail("malloc");
        memcpy(one->held, piece + done, one->held_size);
    }
}

static void turn(int milliseconds) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll, events, EVENTS, milliseconds);
    for (int i = 0; i < ready; i++) take(&members[events[i].data.u32]);
}

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static double share(uint32_t *sorted, size_t size, double part) {
    return size ? sorted[(size_t)(part * (double)(size - 1))] / 1000.0 : 0.0;
}

static void report(double began_cpu, int64_t began) {
    int64_t got = 0, least = INT64_MAX, lost = 0, doubled = 0, unordered = 0;
    static uint32_t lasts[LAST];
    size_t last_count = 0;
    for (int i = 0; i < count; i++) {
        struct member *one = &members[i];
        if (!one->open) continue;
        got += one->got, lost += one->lost, doubled += one->doubled, unordered += one->unordered;
        if (one->got < least) least = one->got;
        one->got = one->lost = one->doubled = one->unordered = 0;
    }
    for (size_t i = 0; i < LAST; i++)
        if (last_seen[i]) lasts[last_count++] = (uint32_t)((last_seen[i] - sent_at[i]) / 1000);
    qsort(times, time_count, sizeof *times, by_size);
    qsort(lasts, last_count, sizeof *lasts, by_size);
    printf("{\"got\": %" PRId64 ", \"least\": %" PRId64 ", \"gaps\": %" PRId64 ", \"doubled\": %" PRId64
           ", \"unordered\": %" PRId64 ", \"closed\": %d, \"bytes\": %" PRId64 ", \"reads\": %" PRId64
           ", \"cpu\": %.6f, \"seconds\": %.6f, \"p50\": %.3f, \"p99\": %.3f, \"last_p50\": %.3f, \"last_p99\": %.3f,"
           " \"last_most\": %.3f}\n",
           got, count ? least : 0, lost, doubled, unordered, closed, bytes, reads, cpu() - began_cpu,
           (double)(now() - began) / 1e9, share(times, time_count, 0.5), share(times, time_count, 0.99),
           share(lasts, last_count, 0.5), share(lasts, last_count, 0.99), share(lasts, last_count, 1.0));
    fflush(stdout);
    time_count = 0;
    memset(last_seen, 0, sizeof last_seen);
    first_seq = bytes = reads = 0;
}

static int satisfied(int64_t wanted) {
    for (int i = 0; i < count; i++)
        if (members[i].open && members[i].got < wanted) return 0;
    return 1;
}

/* The next line of standard input, without its end; sockets are served meanwhile. */
static char *line(void) {
    static char held[1 << 16];
    static size_t size;
    static char out[4096];
    struct pollfd both[2] = {{.fd = 0, .events = POLLIN}, {.fd = epoll, .events = POLLIN}};
    for (;;) {
        char *stop = memchr(held, '\n', size);
        if (stop) {
            size_t length = (size_t)(stop - held);
            if (length >= sizeof out) exit(1);
            memcpy(out, held, length);
            out[length] = 0;
            size -= length + 1;
            memmove(held, stop + 1, size);
            return out;
        }
        poll(both, 2, -1);
        if (both[1].revents) turn(0);
        if (both[0].revents) {
            ssize_t got = read(0, held + size, sizeof held - size);
            if (got <= 0) exit(0);
            size += (size_t)got;
        }
    }
}

int main(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(0);
    if (sscanf(line(), "%d %d %d", &port, &count, &receive_buffer) != 3) return 2;
    members = calloc((size_t)count + 1, sizeof *members);
    for (int i = 0; i < count; i++) members[i].path = strdup(line());
    start_next();
    while (opened + refused < count) {
        turn(1000);
        start_next();
    }
    printf("{\"opened\": %d, \"refused\": %d}\n", opened, refused);
    fflush(stdout);
    double began_cpu = cpu();
    int64_t began = now(), wanted;
    double limit;
    int place;
    for (;;) {
        char *command = line();
        if (sscanf(command, "wait %" SCNd64 " %lf", &wanted, &limit) == 2) {
            int64_t until = now() + (int64_t)(limit * 1e9);
            while (!satisfied(wanted) && now() < until) turn(20);
            report(began_cpu, began);
            began_cpu = cpu();
            began = now();
        } else if (sscanf(command, "reach %" SCNd64 " %lf", &wanted, &limit) == 2) {
            int64_t until = now() + (int64_t)(limit * 1e9);
            while (!satisfied(wanted) && now() < until) turn(20);
            printf("{}\n");
            fflush(stdout);
        } else if (sscanf(command, "stop %d", &place) == 1 && place >= 0 && place < count) {
            epoll_ctl(epoll, EPOLL_CTL_DEL, members[place].fd, NULL);
            members[place].open = 0;
            printf("{}\n");
            fflush(stdout);
        } else {
            return 0;
        }
    }
}
