/* Are two values the same, and which of many may be. */
#include "worker/json/schema_private.h"

#include "worker/json/number.h"

/* FNV-1a, of 64 bits. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* Equal? ------------------------------------------------------------------------ */

static bool
has_equal(struct check *c, const cJSON *object, const cJSON *of)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, object) {
		if (!schema_check_spend(c, 1))
			return false;
		if (strcmp(item->string, of->string) == 0)
			return schema_equal(c, item, of);
	}
	return false;
}

/* Members in any order; of each name one. */
static bool
is_equal_list(struct check *c, const cJSON *a, const cJSON *b)
{
	const cJSON *item, *other = b->child;

	if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
		return false;
	cJSON_ArrayForEach(item, a) {
		if (cJSON_IsObject(a) ? !has_equal(c, b, item) :
		    !schema_equal(c, item, other))
			return false;
		other = other->next;
	}
	return true;
}

static size_t
text_size(const cJSON *value)
{
	return value->valuestring ? strlen(value->valuestring) : 0;
}

bool
schema_equal(struct check *c, const cJSON *a, const cJSON *b)
{
	if (!schema_check_scan(c, 16 + text_size(a)))
		return false;
	if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
		return number_compare(a, b) == 0;
	if ((cJSON_IsArray(a) && cJSON_IsArray(b)) ||
	    (cJSON_IsObject(a) && cJSON_IsObject(b)))
		return is_equal_list(c, a, b);
	return cJSON_Compare(a, b, true);
}

/* Hashes ------------------------------------------------------------------------ */

static uint64_t
hash_bytes(uint64_t hash, const void *p, size_t n)
{
	const unsigned char *byte = p;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ byte[i]) * HASH_PRIME;
	return hash;
}

static uint64_t
hash_text(uint64_t hash, const char *text)
{
	return hash_bytes(hash, text, strlen(text));
}

/* Numbers that are equal have the same double, but for the sign of 0. */
static uint64_t
hash_number(uint64_t hash, double v)
{
	v = v > 0 || v < 0 ? v : 0;
	return hash_bytes(hash, &v, sizeof(v));
}

static uint64_t
hash_object(struct check *c, uint64_t hash, const cJSON *object)
{
	const cJSON *item;
	uint64_t sum = 0;

	cJSON_ArrayForEach(item, object) {
		uint64_t value = schema_hash(c, item);

		sum += hash_bytes(hash_text(HASH_START, item->string), &value,
		    sizeof(value));
	}
	return hash_bytes(hash, &sum, sizeof(sum));
}

uint64_t
schema_hash(struct check *c, const cJSON *value)
{
	int type = value->type & 0xff;
	uint64_t hash = hash_bytes(HASH_START, &type, sizeof(type));
	const cJSON *item;

	if (!schema_check_scan(c, 16 + text_size(value)))
		return 0;
	if (cJSON_IsNumber(value))
		return hash_number(hash, value->valuedouble);
	if (cJSON_IsString(value))
		return hash_text(hash, value->valuestring);
	if (cJSON_IsObject(value))
		return hash_object(c, hash, value);
	cJSON_ArrayForEach(item, value) {
		uint64_t one = schema_hash(c, item);

		hash = hash_bytes(hash, &one, sizeof(one));
	}
	return hash;
}
