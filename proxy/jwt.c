#include "proxy/jwt.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "proxy/base64url.h"

/* The three parts of a compact JWS, and what its header says. */
struct token {
	struct slice header, payload, signature;   /* base64url */
	struct slice signed_part;                  /* header.payload */
	enum jwt_alg alg;
	struct slice kid;
};

static const char *const result_names[] = {
	[JWT_GOOD] = "good",
	[JWT_BAD_FORM] = "bad_form",
	[JWT_BAD_ALGORITHM] = "bad_algorithm",
	[JWT_UNKNOWN_KEY] = "unknown_key",
	[JWT_BAD_SIGNATURE] = "bad_signature",
	[JWT_EXPIRED] = "expired",
	[JWT_NOT_YET] = "not_yet_valid",
	[JWT_BAD_ISSUER] = "bad_issuer",
	[JWT_BAD_AUDIENCE] = "bad_audience",
	[JWT_NO_SUBJECT] = "no_subject",
};

const char *
jwt_result_name(enum jwt_result result)
{
	return result_names[result];
}

void
jwt_claims_init(struct jwt_claims *claims)
{
	strbuf_init(&claims->issuer, JWT_MAX);
	strbuf_init(&claims->subject, JWT_MAX);
	strbuf_init(&claims->scopes, JWT_MAX);
	claims->expires_s = 0;
}

void
jwt_claims_release(struct jwt_claims *claims)
{
	strbuf_release(&claims->issuer);
	strbuf_release(&claims->subject);
	strbuf_release(&claims->scopes);
}

/* JSON inside ---------------------------------------------------------------------- */

static const cJSON *
member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool
has_twice(const cJSON *object)
{
	const cJSON *item, *other;

	cJSON_ArrayForEach(item, object) {
		for (other = item->next; other != NULL; other = other->next) {
			if (strcmp(item->string, other->string) == 0)
				return true;
		}
	}
	return false;
}

/*
 * The object in a part, or NULL. Refused besides what is no JSON: bytes after
 * it, members given twice, and NULs, at which cJSON's strings would end.
 */
static cJSON *
object_in(struct slice part)
{
	unsigned char text[JWT_MAX];
	const char *end = NULL;
	long n = base64url_decode(text, part);
	cJSON *object;

	if (n <= 0 || memchr(text, '\0', (size_t)n) != NULL ||
	    memmem(text, (size_t)n, "\\u0000", 6) != NULL)
		return NULL;
	object = cJSON_ParseWithLengthOpts((const char *)text, (size_t)n, &end,
	    0);
	if (!cJSON_IsObject(object) || end != (const char *)text + n ||
	    has_twice(object)) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}

/* The form -------------------------------------------------------------------------- */

static bool
split(struct slice text, struct token *out)
{
	const char *first = memchr(text.p, '.', text.n);
	const char *last = memrchr(text.p, '.', text.n);

	if (first == NULL || first == last ||
	    memchr(first + 1, '.', (size_t)(last - first) - 1) != NULL)
		return false;
	out->header = slice_of(text.p, (size_t)(first - text.p));
	out->payload = slice_of(first + 1, (size_t)(last - first) - 1);
	out->signed_part = slice_of(text.p, (size_t)(last - text.p));
	out->signature = slice_of(last + 1,
	    (size_t)(text.p + text.n - last) - 1);
	return true;
}

static enum jwt_result
read_header(const cJSON *header, struct token *out)
{
	const cJSON *alg = member(header, "alg"), *kid = member(header, "kid");

	if (header == NULL || !cJSON_IsString(alg) ||
	    (kid != NULL && !cJSON_IsString(kid)) ||
	    member(header, "crit") != NULL)
		return JWT_BAD_FORM;
	out->alg = jwt_alg_of(slice_str(alg->valuestring));
	out->kid = kid != NULL ? slice_str(kid->valuestring) : SLICE_NONE;
	return out->alg == JWT_ALGS ? JWT_BAD_ALGORITHM : JWT_GOOD;
}

static enum jwt_result
check_signature(const struct token *t, const struct jwt_keys *const *sets,
    size_t count)
{
	unsigned char raw[JWT_MAX];
	long n = base64url_decode(raw, t->signature);
	enum jwt_result result = JWT_UNKNOWN_KEY;

	if (n <= 0)
		return JWT_BAD_FORM;
	for (size_t i = 0; i < count; i++) {
		if (sets[i] == NULL)
			continue;
		switch (jwt_keys_verify(sets[i], t->alg, t->kid, t->signed_part,
		    slice_of((const char *)raw, (size_t)n))) {
		case JWT_SIGNATURE_GOOD:
			return JWT_GOOD;
		case JWT_SIGNATURE_BAD:
			result = JWT_BAD_SIGNATURE;
			break;
		case JWT_SIGNATURE_NO_KEY:
			break;
		}
	}
	return result;
}

/* Claims ---------------------------------------------------------------------------- */

/* Seconds since 1970 (NumericDate); false when absent or no sensible number. */
static bool
read_date(const cJSON *claims, const char *name, double *out)
{
	const cJSON *date = member(claims, name);

	if (!cJSON_IsNumber(date) || !isfinite(date->valuedouble) ||
	    date->valuedouble < 0 || date->valuedouble > 9e15)
		return false;
	*out = date->valuedouble;
	return true;
}

static enum jwt_result
check_dates(const cJSON *claims, uint64_t now_s, uint64_t *expires_s)
{
	double expires, begins;

	if (!read_date(claims, "exp", &expires) ||
	    expires + JWT_SKEW_S <= (double)now_s)
		return JWT_EXPIRED;
	if (member(claims, "nbf") != NULL &&
	    (!read_date(claims, "nbf", &begins) ||
		begins - JWT_SKEW_S > (double)now_s))
		return JWT_NOT_YET;
	*expires_s = (uint64_t)expires;
	return JWT_GOOD;
}

/* Is the text one of the words, which blanks or commas part? */
static bool
is_among(const char *text, const char *words)
{
	size_t n = strlen(text);
	const char *at = words;

	while (n > 0 && *at != '\0') {
		size_t word = strcspn(at, " ,");

		if (word == n && memcmp(at, text, n) == 0)
			return true;
		at += word;
		at += strspn(at, " ,");
	}
	return false;
}

/* aud is a string or an array of strings (RFC 7519, section 4.1.3). */
static bool
audience_ok(const cJSON *aud, const char *wanted)
{
	const cJSON *one;

	if (wanted == NULL)
		return true;
	if (cJSON_IsString(aud))
		return is_among(aud->valuestring, wanted);
	if (!cJSON_IsArray(aud))
		return false;
	cJSON_ArrayForEach(one, aud) {
		if (cJSON_IsString(one) && is_among(one->valuestring, wanted))
			return true;
	}
	return false;
}

static void
add_scopes(struct strbuf *to, const cJSON *claim)
{
	const cJSON *one;

	if (claim == NULL)
		return;
	if (cJSON_IsString(claim)) {
		strbuf_add_str(to, claim->valuestring);
		strbuf_add_char(to, ' ');
	}
	if (!cJSON_IsArray(claim))
		return;
	cJSON_ArrayForEach(one, claim) {
		if (!cJSON_IsString(one))
			continue;
		strbuf_add_str(to, one->valuestring);
		strbuf_add_char(to, ' ');
	}
}

/* scope (RFC 8693) and what issuers call it besides. */
static void
read_scopes(const cJSON *claims, const char *fallback, struct strbuf *out)
{
	static const char *const names[] = { "scope", "scopes", "scp" };
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const cJSON *claim = member(claims, names[i]);

		found |= claim != NULL;
		add_scopes(out, claim);
	}
	if (!found && fallback != NULL)
		strbuf_add_str(out, fallback);
}

static enum jwt_result
check_claims(const cJSON *claims, const struct jwt_rules *rules, uint64_t now_s,
    struct jwt_claims *out)
{
	const char *iss = cJSON_GetStringValue(member(claims, "iss"));
	const char *sub = cJSON_GetStringValue(member(claims, "sub"));
	uint64_t expires_s = 0;
	enum jwt_result result;

	if (claims == NULL)
		return JWT_BAD_FORM;
	result = check_dates(claims, now_s, &expires_s);
	if (result != JWT_GOOD)
		return result;
	if (rules->issuer != NULL &&
	    (iss == NULL || strcmp(iss, rules->issuer) != 0))
		return JWT_BAD_ISSUER;
	if (!audience_ok(member(claims, "aud"), rules->audience))
		return JWT_BAD_AUDIENCE;
	if (sub == NULL || sub[0] == '\0')
		return JWT_NO_SUBJECT;
	strbuf_add_str(&out->issuer, iss != NULL ? iss : "");
	strbuf_add_str(&out->subject, sub);
	read_scopes(claims, rules->default_scopes, &out->scopes);
	out->expires_s = expires_s;
	return JWT_GOOD;
}

enum jwt_result
jwt_verify(struct slice text, const struct jwt_keys *const *sets, size_t count,
    const struct jwt_rules *rules, uint64_t now_s, struct jwt_claims *claims)
{
	struct token t = { .alg = JWT_ALGS };
	enum jwt_result result;
	cJSON *json;

	if (text.n > JWT_MAX || !split(text, &t))
		return JWT_BAD_FORM;
	json = object_in(t.header);
	result = read_header(json, &t);
	if (result == JWT_GOOD)
		result = check_signature(&t, sets, count);
	cJSON_Delete(json);
	if (result != JWT_GOOD)
		return result;
	json = object_in(t.payload);
	result = check_claims(json, rules, now_s, claims);
	cJSON_Delete(json);
	return result;
}
