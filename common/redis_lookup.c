#include "common/redis_lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/util.h>

#include "common/xalloc.h"

struct redis_lookup {
	struct redis_lookup **slot;  /* NULL once closed */
	struct evdns_getaddrinfo_request *request;
	unsigned turn;
	redis_lookup_cb *cb;
	void *arg;
};

static const struct addrinfo *
pick(const struct addrinfo *list, unsigned turn)
{
	const struct addrinfo *ai;
	unsigned count = 0;

	for (ai = list; ai != NULL; ai = ai->ai_next)
		count++;
	if (count == 0)
		return NULL;
	for (ai = list, turn %= count; turn > 0; turn--)
		ai = ai->ai_next;
	return ai;
}

static void
finish(struct redis_lookup *l, const struct addrinfo *list, const char *error)
{
	const struct addrinfo *ai = pick(list, l->turn);

	if (l->slot != NULL) {
		*l->slot = NULL;
		if (ai != NULL)
			l->cb(ai->ai_addr, (int)ai->ai_addrlen, NULL, l->arg);
		else
			l->cb(NULL, 0, error, l->arg);
	}
	free(l);
}

static void
on_answer(int result, struct addrinfo *list, void *arg)
{
	finish(arg, list, result ? evutil_gai_strerror(result) : "no address");
	if (list != NULL)
		evutil_freeaddrinfo(list);
}

static bool
finish_numeric(struct redis_lookup *l, const char *host, const char *service)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *list = NULL;

	if (getaddrinfo(host, service, &hints, &list) != 0)
		return false;
	finish(l, list, "no address");
	freeaddrinfo(list);
	return true;
}

void
redis_lookup_open(struct redis_lookup **slot, struct evdns_base *dns,
    const char *host, unsigned port, unsigned turn, redis_lookup_cb *cb,
    void *arg)
{
	struct evutil_addrinfo hints = {
		.ai_flags = EVUTIL_AI_ADDRCONFIG | EVUTIL_AI_NUMERICSERV,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP,
	};
	struct evdns_getaddrinfo_request *request;
	struct redis_lookup *l = xcalloc(1, sizeof(*l));
	char service[12];

	*l = (struct redis_lookup){ slot, NULL, turn, cb, arg };
	*slot = l;
	snprintf(service, sizeof(service), "%u", port);
	if (finish_numeric(l, host, service))
		return;
	if (dns == NULL) {
		finish(l, NULL, "not a numeric address, and no resolver");
		return;
	}
	request = evdns_getaddrinfo(dns, host, service, &hints, on_answer, l);
	/* NULL: on_answer() has run and freed the lookup. */
	if (request != NULL)
		l->request = request;
}

/*
 * A cancelled request still calls back, on a later turn of the loop; the lookup
 * is freed there.
 */
void
redis_lookup_close(struct redis_lookup **slot)
{
	struct redis_lookup *l = *slot;

	if (l == NULL)
		return;
	*slot = NULL;
	l->slot = NULL;
	evdns_getaddrinfo_cancel(l->request);
}
