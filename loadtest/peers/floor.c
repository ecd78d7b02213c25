/* `floor PORT`: what one connection to /publish sends is sent to every other connection, one send() each.
 *
 * One read joins what has arrived, so a window of many messages costs one send() a subscriber. Handshakes are answered
 * with fixed bytes: nothing here is a WebSocket server, only the least that fan-out over TCP can cost.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 65536, HEAD = 4096, CHUNK = 1 << 20 };

static const char ANSWER[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

static int subscribers[MOST];
static int count;
static char chunk[CHUNK];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void send_all(int fd, const char *data, ssize_t left) {
    while (left > 0) {
        ssize_t sent = send(fd, data, left, MSG_NOSIGNAL);
        if (sent < 0) fail("send");
        data += sent;
        left -= sent;
    }
}

/* Reads one request, answers it; returns whether it asked to publish, or -1 for a connection that said nothing. */
static int greet(int fd) {
    char head[HEAD + 1];
    ssize_t have = 0;
    do {
        ssize_t got = recv(fd, head + have, HEAD - have, 0);
        if (got <= 0) return -1;
        have += got;
        head[have] = 0;
    } while (have < HEAD && !strstr(head, "\r\n\r\n"));
    send_all(fd, ANSWER, sizeof ANSWER - 1);
    return !strncmp(head, "GET /publish ", 13);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) fail("listen");
    struct pollfd watched[2] = {{.fd = listener, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    for (;;) {
        if (poll(watched, 2, -1) < 0) fail("poll");
        if (watched[0].revents) {
            int fd = accept(listener, 0, 0);
            if (fd < 0) fail("accept");
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            int publishes = greet(fd);
            if (publishes > 0)
                watched[1].fd = fd;
            else if (publishes == 0 && count < MOST)
                subscribers[count++] = fd;
            else
                close(fd);
        }
        if (watched[1].revents) {
            ssize_t got = recv(watched[1].fd, chunk, CHUNK, 0);
            if (got <= 0) return 0;
            for (int i = 0; i < count; i++) send_all(subscribers[i], chunk, got);
        }
    }
}
