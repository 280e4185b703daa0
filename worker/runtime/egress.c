#include "worker/runtime/egress.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <sys/queue.h>

#include "common/xalloc.h"

/* Longest host name (RFC 1035, section 2.3.4) and then some for a prefix. */
#define WORD_MAX 280
/* "::ffff:0:0/96" holds IPv4: all addresses are compared as IPv6. */
#define MAPPED_BITS 96

struct network {
	struct in6_addr address;
	unsigned bits;
};

struct host_rule {
	SLIST_ENTRY(host_rule) link;
	char *name; /* lower or upper case as given; "*." in front: below it */
};

struct network_rule {
	SLIST_ENTRY(network_rule) link;
	struct network network;
};

struct egress {
	SLIST_HEAD(, host_rule) hosts;
	SLIST_HEAD(, network_rule) networks;
};

/*
 * What is not the public Internet (IANA's special-purpose registries, RFC
 * 6890); of IPv6 within 2000::/3, see is_special(). 6to4 is in it because it
 * carries IPv4 addresses inside.
 */
static const char *const special[] = {
	"0.0.0.0/8",
	"10.0.0.0/8",
	"100.64.0.0/10",
	"127.0.0.0/8",
	"169.254.0.0/16",
	"172.16.0.0/12",
	"192.0.0.0/24",
	"192.0.2.0/24",
	"192.88.99.0/24",
	"192.168.0.0/16",
	"198.18.0.0/15",
	"198.51.100.0/24",
	"203.0.113.0/24",
	"224.0.0.0/4",
	"240.0.0.0/4",
	"2001::/23",
	"2001:db8::/32",
	"2002::/16",
	"3fff::/20",
};

/* Networks --------------------------------------------------------------- */

static struct in6_addr
map_ipv4(struct in_addr v4)
{
	struct in6_addr v6 = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	memcpy(v6.s6_addr + 12, &v4, sizeof(v4));
	return v6;
}

static bool
parse_address(const char *text, struct in6_addr *out, bool *is_ipv4)
{
	struct in_addr v4;

	*is_ipv4 = inet_pton(AF_INET, text, &v4) == 1;
	if (*is_ipv4)
		*out = map_ipv4(v4);
	return *is_ipv4 || inet_pton(AF_INET6, text, out) == 1;
}

static bool
parse_bits(const char *text, unsigned most, unsigned *out)
{
	char *end;
	unsigned long bits;

	if (!isdigit((unsigned char)text[0]))
		return false;
	bits = strtoul(text, &end, 10);
	if (*end != '\0' || bits > most)
		return false;
	*out = (unsigned)bits;
	return true;
}

/* "address" or "address/bits"; text is changed. */
static bool
parse_network(char *text, struct network *out)
{
	char *slash = strchr(text, '/');
	bool is_ipv4;
	unsigned most;

	if (slash != NULL)
		*slash++ = '\0';
	if (!parse_address(text, &out->address, &is_ipv4))
		return false;
	most = is_ipv4 ? 32 : 128;
	out->bits = most;
	if (slash != NULL && !parse_bits(slash, most, &out->bits))
		return false;
	if (is_ipv4)
		out->bits += MAPPED_BITS;
	return true;
}

/*
 * NAT64's well-known prefix leads to the IPv4 address in its last four bytes (RFC
 * 6052, section 2.1): in a cluster without IPv4 all the world has such addresses.
 */
static struct in6_addr
without_nat64(struct in6_addr v6)
{
	static const uint8_t prefix[12] = { 0x00, 0x64, 0xff, 0x9b };
	struct in_addr v4;

	if (memcmp(v6.s6_addr, prefix, sizeof(prefix)) != 0)
		return v6;
	memcpy(&v4, v6.s6_addr + sizeof(prefix), sizeof(v4));
	return map_ipv4(v4);
}

static bool
network_has(const struct network *n, const struct in6_addr *address)
{
	const uint8_t *a = n->address.s6_addr, *b = address->s6_addr;
	unsigned bytes = n->bits / 8, rest = n->bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0;
}

/* Of IPv6 nothing but 2000::/3 is given out for use on the Internet (RFC 4291). */
static bool
is_special(const struct in6_addr *address)
{
	if (!IN6_IS_ADDR_V4MAPPED(address) &&
	    (address->s6_addr[0] & 0xe0) != 0x20)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(special); i++) {
		char text[WORD_MAX];
		struct network n;

		snprintf(text, sizeof(text), "%s", special[i]);
		if (parse_network(text, &n) && network_has(&n, address))
			return true;
	}
	return false;
}

/* Lists ------------------------------------------------------------------ */

static bool
add_network(struct egress *e, char *text)
{
	struct network_rule *rule;
	struct network network;

	if (!parse_network(text, &network))
		return false;
	rule = xcalloc(1, sizeof(*rule));
	rule->network = network;
	SLIST_INSERT_HEAD(&e->networks, rule, link);
	return true;
}

static bool
is_host_name(const char *name)
{
	if (strncmp(name, "*.", 2) == 0)
		name += 2;
	if (name[0] == '\0' || name[0] == '.')
		return false;
	for (; *name != '\0'; name++) {
		if (!isalnum((unsigned char)*name) &&
		    strchr("-._", *name) == NULL)
			return false;
	}
	return true;
}

/* Without the brackets of an IPv6 address in a URL; text is changed. */
static char *
without_brackets(char *text)
{
	size_t n = strlen(text);

	if (n < 2 || text[0] != '[' || text[n - 1] != ']')
		return text;
	text[n - 1] = '\0';
	return text + 1;
}

static bool
is_address(const char *text)
{
	struct in6_addr address;
	bool is_ipv4;

	return parse_address(text, &address, &is_ipv4);
}

static bool
add_foreign_host(struct egress *e, char *text)
{
	struct host_rule *rule;

	text = without_brackets(text);
	if (!is_address(text) && !is_host_name(text))
		return false;
	rule = xcalloc(1, sizeof(*rule));
	rule->name = xstrdup(text);
	SLIST_INSERT_HEAD(&e->hosts, rule, link);
	return true;
}

static bool
add_host(struct egress *e, char *text)
{
	text = without_brackets(text);
	return add_foreign_host(e, text) &&
	       (!is_address(text) || add_network(e, text));
}

/* Hands each word between commas to add; blanks around words do not count. */
static bool
add_list(struct egress *e, const char *list, const char *what,
    bool (*add)(struct egress *, char *), struct strbuf *error)
{
	bool ok = true;

	while (ok && list != NULL && *list != '\0') {
		const char *p = list + strspn(list, " \t");
		size_t all = strcspn(p, ","), n = all;
		char word[WORD_MAX];

		while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
			n--;
		/* A copy, because add changes it. */
		snprintf(word, sizeof(word), "%.*s", (int)n, p);
		ok = n == 0 || (n < sizeof(word) && add(e, word));
		if (!ok)
			strbuf_addf(
			    error, "\"%.*s\" is not %s", (int)n, p, what);
		list = p + all + (p[all] == ',');
	}
	return ok;
}

/* The module itself ------------------------------------------------------ */

struct egress *
egress_new(void)
{
	struct egress *e = xcalloc(1, sizeof(*e));

	SLIST_INIT(&e->hosts);
	SLIST_INIT(&e->networks);
	return e;
}

void
egress_free(struct egress *e)
{
	struct host_rule *host;
	struct network_rule *network;

	if (e == NULL)
		return;
	while ((host = SLIST_FIRST(&e->hosts)) != NULL) {
		SLIST_REMOVE_HEAD(&e->hosts, link);
		free(host->name);
		free(host);
	}
	while ((network = SLIST_FIRST(&e->networks)) != NULL) {
		SLIST_REMOVE_HEAD(&e->networks, link);
		free(network);
	}
	free(e);
}

bool
egress_add_hosts(struct egress *e, const char *list, struct strbuf *error)
{
	return add_list(e, list, "a host name or an address", add_host, error);
}

bool
egress_add_foreign_hosts(
    struct egress *e, const char *list, struct strbuf *error)
{
	return add_list(
	    e, list, "a host name or an address", add_foreign_host, error);
}

bool
egress_add_networks(struct egress *e, const char *list, struct strbuf *error)
{
	return add_list(
	    e, list, "a network such as 10.0.0.0/8", add_network, error);
}

static bool
rule_matches(const struct host_rule *rule, const char *host)
{
	size_t n = strlen(host), below;

	if (strncmp(rule->name, "*.", 2) != 0)
		return strcasecmp(rule->name, host) == 0;
	below = strlen(rule->name + 1);
	return n > below && strcasecmp(host + n - below, rule->name + 1) == 0;
}

bool
egress_host_ok(const struct egress *e, const char *host)
{
	const struct host_rule *rule;
	char text[WORD_MAX];
	const char *name;

	if (strlen(host) >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%s", host);
	name = without_brackets(text);
	SLIST_FOREACH(rule, &e->hosts, link) {
		if (rule_matches(rule, name))
			return true;
	}
	return false;
}

bool
egress_address_ok(const struct egress *e, const struct sockaddr *address)
{
	const struct network_rule *rule;
	struct in6_addr v6;

	if (address->sa_family == AF_INET)
		v6 =
		    map_ipv4(((const struct sockaddr_in *)(const void *)address)
				 ->sin_addr);
	else if (address->sa_family == AF_INET6)
		v6 = without_nat64(
		    ((const struct sockaddr_in6 *)(const void *)address)
			->sin6_addr);
	else
		return false;
	SLIST_FOREACH(rule, &e->networks, link) {
		if (network_has(&rule->network, &v6))
			return true;
	}
	return !is_special(&v6);
}
