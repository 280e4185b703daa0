/*
 * A client of the HTTP server under test: a socket, the bytes that came, and
 * whether the server closed it or reset it. It lives on the loop of wait.h.
 */
#ifndef TESTS_SUPPORT_CLIENT_H
#define TESTS_SUPPORT_CLIENT_H

#include <event2/event.h>
#include <sys/socket.h>

#include "common/compiler.h"
#include "common/strbuf.h"

struct client {
	int fd;
	struct event *readable;
	struct strbuf in;     /* all that came and was not taken */
	bool eof;             /* the server closed it in order */
	bool reset;           /* the server reset it */
};

/* A socket address on 127.0.0.1 with a port that nobody listens on. */
struct sockaddr_storage free_address(socklen_t *len);

/* receive_bytes: of the socket's buffer, 0 for the system's default. */
void client_open(struct client *c, const struct sockaddr_storage *server,
    socklen_t len, int receive_bytes);
void client_close(struct client *c);
/* Closes it with a reset instead of in order. */
void client_abort(struct client *c);

/* Sends all the bytes, running the loop when the socket is full. */
void client_send(struct client *c, const void *p, size_t n);
void client_say(struct client *c, const char *text);
/* Sends no more, but goes on reading. */
void client_finish(struct client *c);
/* Stops taking bytes from the socket, and takes them again. */
void client_pause(struct client *c);
void client_resume(struct client *c);

bool client_has(const struct client *c, const char *text);
/* How often text stands in what came. */
unsigned client_count(const struct client *c, const char *text);

/* An answer with a Content-Length, taken from what came. */
struct answer {
	int status;
	struct strbuf head;
	struct strbuf body;
};

/*
 * Takes the next whole answer; false when more bytes are needed. bodiless: it
 * answers a HEAD, and ends with its head.
 */
bool client_take(struct client *c, struct answer *out, bool bodiless);
void answer_release(struct answer *a);
/* Waits for the next answer and checks its status and body (NULL: any). */
void client_expect(struct client *c, int status, const char *body);

#endif
