/* The same room as a plain loop over send(): one process, one thread, epoll, no database and no checks.
 *
 * It answers `GET /ws` with 101 (without Sec-WebSocket-Accept, which the load does not look at) and sends the body of
 * `POST /message` as one text frame to every member. Members are not read until they are closed. What a socket does
 * not take at once is lost: this is the least that a delivery can cost, not a server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 65536, BODY = 65536, EVENTS = 256 };

static char *held[FDS]; /* what a connection has sent of a request that is not complete */
static size_t held_size[FDS];
static int members[FDS], member_count;
static int place_of[FDS]; /* index in members + 1, 0 where it is none */

static void end(int fd) {
    if (place_of[fd]) {
        int last = members[--member_count];
        members[place_of[fd] - 1] = last;
        place_of[last] = place_of[fd];
        place_of[fd] = 0;
    }
    free(held[fd]);
    held[fd] = NULL;
    held_size[fd] = 0;
    close(fd);
}

static void say(int fd, const char *text) {
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) end(fd);
}

static void send_to_all(const char *body, size_t size) {
    static unsigned char frame[BODY + 4];
    size_t head = 2;
    frame[0] = 0x81;
    if (size < 126) {
        frame[1] = (unsigned char)size;
    } else {
        frame[1] = 126;
        frame[2] = (unsigned char)(size >> 8);
        frame[3] = (unsigned char)size;
        head = 4;
    }
    memcpy(frame + head, body, size);
    for (int i = 0; i < member_count; i++) send(members[i], frame, head + size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Serve one request from what a connection has sent; how many bytes it took, 0 where it is not complete. */
static size_t serve(int fd, char *data, size_t size) {
    char *stop = memmem(data, size, "\r\n\r\n", 4);
    if (!stop) return 0;
    size_t head = (size_t)(stop - data) + 4, body = 0;
    for (char *line = data; line < stop; line = (char *)memchr(line, '\n', (size_t)(stop + 2 - line)) + 1)
        if (!strncasecmp(line, "content-length:", 15)) body = strtoul(line + 15, NULL, 10);
    if (body > BODY) {
        end(fd);
        return 0;
    }
    if (size < head + body) return 0;
    if (data[0] == 'G') {
        place_of[fd] = member_count + 1;
        members[member_count++] = fd;
        say(fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    } else {
        send_to_all(data + head, body);
        say(fd, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}");
    }
    return head + body;
}

static void take(int fd) {
    static char piece[BODY];
    ssize_t got = recv(fd, piece, sizeof piece, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) end(fd);
    if (got <= 0 || place_of[fd]) return;
    held[fd] = realloc(held[fd], held_size[fd] + (size_t)got);
    if (!held[fd]) exit(1);
    memcpy(held[fd] + held_size[fd], piece, (size_t)got);
    held_size[fd] += (size_t)got;
    size_t done;
    while (held[fd] && (done = serve(fd, held[fd], held_size[fd])) > 0 && held[fd]) {
        held_size[fd] -= done;
        memmove(held[fd], held[fd] + done, held_size[fd]);
    }
}

int main(void) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof where;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int door = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0), on = 1;
    if (bind(door, (struct sockaddr *)&where, length) || listen(door, 1024)) return 1;
    getsockname(door, (struct sockaddr *)&where, &length);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = door}, events[EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, door, &event);
    printf("ready http://127.0.0.1:%d\n", ntohs(where.sin_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd != door) {
                take(fd);
            } else if ((fd = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                if (fd >= FDS) {
                    close(fd);
                    continue;
                }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                event.data.fd = fd;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
