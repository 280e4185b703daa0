#include "proxy/limits.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

#define LOG_EVERY_MS 60000
/* Places of a table in which a new one takes an old one's: then logs repeat. */
#define LOGGED 1024
/* Characters of a user hash in logs. */
#define USER_SHOWN 12
#define TEXT_MAX 128
#define IPV6_PREFIX 8

static const struct {
	const char *name;
	enum stat stat;
	const char *of;      /* what the number counts */
} kinds[LIMITS] = {
	[LIMIT_USER_RATE] = { "user_rate", STAT_LIMITED_USER_RATE,
	    "messages a second for each user" },
	[LIMIT_IP_RATE] = { "ip_rate", STAT_LIMITED_IP_RATE,
	    "requests a second from each address" },
	[LIMIT_USER_STREAMS] = { "user_streams", STAT_LIMITED_USER_STREAMS,
	    "open streams for each user" },
	[LIMIT_USER_SESSIONS] = { "user_sessions", STAT_LIMITED_USER_SESSIONS,
	    "sessions for each user" },
	[LIMIT_USER_CALLS] = { "user_calls", STAT_LIMITED_USER_CALLS,
	    "calls in flight for each user and API" },
};

struct logged {
	uint64_t at_ms;
	uint64_t whose;
	unsigned others;    /* refusals since, without a line of their own */
};

struct limits {
	struct limit_options options;
	struct meter *users;        /* NULL: no limit */
	struct meter *addresses;
	struct logged *logged;
	char text[LIMITS][TEXT_MAX];
};

/* Subjects -------------------------------------------------------------------- */

static void
name_user(const unsigned char subject[static METER_SUBJECT_LEN],
    char out[static SHA256_HEX_LEN + 1], void *arg)
{
	(void)arg;
	hex_encode(out, subject, SHA256_LEN);
}

/* Addresses do not stand in Redis; a user without a User-Agent is nobody. */
static void
name_address(const unsigned char subject[static METER_SUBJECT_LEN],
    char out[static SHA256_HEX_LEN + 1], void *arg)
{
	struct limits *l = arg;
	struct slice field = slice_of((const char *)subject,
	    sizeof(struct in6_addr));
	struct user user;

	principals_user(l->options.principals, PRINCIPAL_ANONYMOUS, &field, 1,
	    &user);
	memcpy(out, user.hash, SHA256_HEX_LEN + 1);
}

static void
on_answer(void *arg)
{
	struct limits *l = arg;

	l->options.on_answer(l->options.arg);
}

/* Taking ------------------------------------------------------------------------ */

unsigned
limits_at_most(const struct limits *l, enum limit which)
{
	return l != NULL ? l->options.at_most[which] : 0;
}

enum meter_result
limits_take_user(struct limits *l, const struct user *user, uint64_t *wait_ms)
{
	if (l == NULL || l->users == NULL)
		return METER_PASS;
	return meter_take(l->users, user->bytes, wait_ms);
}

enum meter_result
limits_take_address(struct limits *l, const struct in6_addr *address,
    uint64_t *wait_ms)
{
	unsigned char subject[METER_SUBJECT_LEN] = { 0 };
	size_t n = IN6_IS_ADDR_V4MAPPED(address) ? sizeof(*address) :
						   IPV6_PREFIX;

	if (l == NULL || l->addresses == NULL)
		return METER_PASS;
	memcpy(subject, address, n);
	return meter_take(l->addresses, subject, wait_ms);
}

/* Refusing ------------------------------------------------------------------ */

static uint64_t
fingerprint_of(enum limit which, const unsigned char *who)
{
	uint64_t word;

	memcpy(&word, who, sizeof(word));
	return (word ^ (uint64_t)which) | 1;
}

/* Whether it is time for a line about them; *others: left out since the last. */
static bool
may_log(struct limits *l, uint64_t whose, unsigned *others)
{
	struct logged *place = &l->logged[whose / 2 % LOGGED];
	uint64_t now = clock_mono_ms();

	if (place->whose == whose && now - place->at_ms < LOG_EVERY_MS) {
		place->others++;
		return false;
	}
	*others = place->whose == whose ? place->others : 0;
	*place = (struct logged){ .at_ms = now, .whose = whose };
	return true;
}

static void
log_refusal(struct limits *l, enum limit which, const struct user *who,
    const struct in6_addr *address)
{
	char text[INET6_ADDRSTRLEN] = "";
	unsigned others;

	if (who != NULL) {
		if (may_log(l, fingerprint_of(which, who->bytes), &others))
			log_info("limit reached", LF("limit", kinds[which].name),
			    LF_S("user", slice_of(who->hash, USER_SHOWN)),
			    LF_N("others", others));
	} else if (may_log(l, fingerprint_of(which, &address->s6_addr[8]) ^
			      fingerprint_of(which, address->s6_addr) << 1,
		       &others)) {
		inet_ntop(AF_INET6, address, text, sizeof(text));
		log_info("limit reached", LF("limit", kinds[which].name),
		    LF("address", text), LF_N("others", others));
	}
}

void
limits_refuse(struct limits *l, enum limit which, uint64_t wait_ms,
    const struct user *who, const struct in6_addr *address,
    struct limit_refusal *out)
{
	uint64_t seconds = (wait_ms + 999) / 1000;

	if (l->options.stats != NULL)
		stat_add(l->options.stats, kinds[which].stat, 1);
	log_refusal(l, which, who, address);
	snprintf(out->headers, sizeof(out->headers), "Retry-After: %llu\r\n",
	    (unsigned long long)(seconds > 0 ? seconds : 1));
	out->text = l->text[which];
}

/* All of them --------------------------------------------------------------- */

static struct meter *
make_meter(struct limits *l, unsigned rate, unsigned burst,
    void (*name)(const unsigned char *subject, char *out, void *arg))
{
	struct meter_options options = {
		.commands = l->options.commands,
		.rate = rate,
		.burst = burst,
		.name = name,
		.on_answer = on_answer,
		.arg = l,
	};

	return rate > 0 ? meter_new(&options) : NULL;
}

static void
make_texts(struct limits *l)
{
	for (int i = 0; i < LIMITS; i++)
		snprintf(l->text[i], TEXT_MAX, "%s: at most %u %s",
		    kinds[i].name, l->options.at_most[i], kinds[i].of);
}

struct limits *
limits_new(const struct limit_options *options)
{
	struct limits *l = xcalloc(1, sizeof(*l));
	struct limit_options *o = &l->options;

	*o = *options;
	if (o->user_burst == 0)
		o->user_burst = 2 * o->at_most[LIMIT_USER_RATE];
	if (o->ip_burst == 0)
		o->ip_burst = 2 * o->at_most[LIMIT_IP_RATE];
	l->logged = xcalloc(LOGGED, sizeof(*l->logged));
	l->users = make_meter(l, o->at_most[LIMIT_USER_RATE], o->user_burst,
	    name_user);
	l->addresses = make_meter(l, o->at_most[LIMIT_IP_RATE], o->ip_burst,
	    name_address);
	make_texts(l);
	return l;
}

void
limits_free(struct limits *l)
{
	meter_free(l->users);
	meter_free(l->addresses);
	free(l->logged);
	free(l);
}
