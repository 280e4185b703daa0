#include "worker/virustotal/subject.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <strings.h>

#include <openssl/evp.h>

/* RFC 1035, section 2.3.4. */
#define DOMAIN_MAX 253
#define LABEL_MAX 63
/* What browsers and servers take; base64 makes 2732 of it. */
#define URL_MAX 2048

/* The one spelling of an address (RFC 5952): one report has one path. */
static bool
read_ip_address(const char *text, struct strbuf *id)
{
	unsigned char address[sizeof(struct in6_addr)];
	char plain[INET6_ADDRSTRLEN];
	int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, address) != 1 ||
	    inet_ntop(family, address, plain, sizeof(plain)) == NULL)
		return false;
	strbuf_add_str(id, plain);
	return true;
}

static bool
is_label(const char *p, size_t n)
{
	if (n == 0 || n > LABEL_MAX || p[0] == '-' || p[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)p[i]) && p[i] != '-' && p[i] != '_')
			return false;
	}
	return true;
}

static bool
is_domain(struct slice text)
{
	size_t labels = 0, from = 0;

	if (text.n > DOMAIN_MAX)
		return false;
	for (;;) {
		const char *dot = memchr(text.p + from, '.', text.n - from);
		size_t end = dot != NULL ? (size_t)(dot - text.p) : text.n;

		if (!is_label(text.p + from, end - from))
			return false;
		labels++;
		if (end == text.n)
			break;
		from = end + 1;
	}
	/* The last one of four numbers would be an address. */
	return labels >= 2 && !isdigit((unsigned char)text.p[from]);
}

/* In lower case, and without the dot that ends an absolute name. */
static bool
read_domain(const char *text, struct strbuf *id)
{
	struct slice name = slice_str(text);

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (!is_domain(name))
		return false;
	for (size_t i = 0; i < name.n; i++)
		strbuf_add_char(id, (char)tolower((unsigned char)name.p[i]));
	return true;
}

static bool
read_hash(const char *text, struct strbuf *id)
{
	size_t n = strspn(text, "0123456789abcdefABCDEF");

	if (text[n] != '\0' || (n != 32 && n != 40 && n != 64))
		return false;
	for (; *text != '\0'; text++)
		strbuf_add_char(id, (char)tolower((unsigned char)*text));
	return true;
}

static bool
is_url(const char *text)
{
	size_t n = strlen(text);

	if (strncasecmp(text, "http://", 7) != 0 &&
	    strncasecmp(text, "https://", 8) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	}
	return n <= URL_MAX && strstr(text, "://")[3] != '\0';
}

/* The id is the URL in base64url without padding. */
static bool
read_url(const char *text, struct strbuf *id)
{
	unsigned char base64[(URL_MAX + 2) / 3 * 4 + 1];
	int n;

	if (!is_url(text))
		return false;
	n = EVP_EncodeBlock(
	    base64, (const unsigned char *)text, (int)strlen(text));
	for (int i = 0; i < n && base64[i] != '='; i++) {
		char c = (char)base64[i];

		if (c == '+')
			c = '-';
		else if (c == '/')
			c = '_';
		strbuf_add_char(id, c);
	}
	return true;
}

static const char *const ip_details[] = { "as_owner", "asn", "network",
	"country", "continent", "regional_internet_registry", NULL };
static const char *const domain_details[] = { "registrar", "creation_date",
	"last_update_date", "categories", "popularity_ranks",
	"last_dns_records", NULL };
static const char *const file_details[] = { "meaningful_name", "names",
	"type_description", "size", "md5", "sha1", "sha256",
	"first_submission_date", "times_submitted",
	"popular_threat_classification", "signature_info", NULL };
static const char *const url_details[] = { "url", "last_final_url", "title",
	"last_http_response_code", "categories", "threat_names",
	"first_submission_date", "times_submitted", NULL };

const struct subject_kind subject_ip_address = {
	.argument = "ip_address",
	.collection = "ip_addresses",
	.page = "ip-address",
	.form = "an IPv4 or IPv6 address, such as 8.8.8.8",
	.read = read_ip_address,
	.details = ip_details,
};

const struct subject_kind subject_domain = {
	.argument = "domain",
	.collection = "domains",
	.page = "domain",
	.form = "a domain name, such as example.com, without scheme and path "
		"(names in other scripts in their xn-- form)",
	.read = read_domain,
	.details = domain_details,
};

const struct subject_kind subject_file = {
	.argument = "hash",
	.collection = "files",
	.page = "file",
	.form = "the MD5, SHA-1 or SHA-256 of a file in hex",
	.read = read_hash,
	.details = file_details,
};

const struct subject_kind subject_url = {
	.argument = "url",
	.collection = "urls",
	.page = "url",
	.form = "an http:// or https:// URL without blanks, of at most 2048 "
		"bytes",
	.read = read_url,
	.details = url_details,
};
