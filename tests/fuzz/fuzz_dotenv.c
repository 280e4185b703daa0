/*
 * Any bytes as a .env file. What loads is printed, loads again from that and is
 * printed the same.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/config.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
	char *text, *secret, *url;
	unsigned number;
	size_t bytes;
	bool truth;
	int choice;
};

#define FIELD(f) CONFIG_FIELD(struct settings, f)

static const char *const choices[] = { "debug", "info", NULL };

/* Names that no environment holds, or the file would not count. */
static const struct config_option table[] = {
	{ "A_TEXT", CONFIG_STRING, FIELD(text), NULL, 0, 0, NULL, "" },
	{ "A_SECRET", CONFIG_SECRET, FIELD(secret), NULL, 0, 0, NULL, "" },
	{ "AN_URL", CONFIG_URL, FIELD(url), NULL, 0, 0, NULL, "" },
	{ "A_NUMBER", CONFIG_UINT, FIELD(number), NULL, 2, 99, NULL, "" },
	{ "A_SIZE", CONFIG_BYTES, FIELD(bytes), NULL, 0, 0, NULL, "" },
	{ "A_BOOL", CONFIG_BOOL, FIELD(truth), "yes", 0, 0, NULL, "" },
	{ "A_CHOICE", CONFIG_ENUM, FIELD(choice), "info", 0, 0, choices, "" },
	{ .env = NULL },
};

static const struct config_option *const tables[] = { table, NULL };

static bool
load(struct slice text, struct settings *out, struct strbuf *errors)
{
	static int fd = -1;
	char path[32];

	if (fd < 0)
		fd = memfd_create("dotenv", MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, 0) == 0);
	MUST(pwrite(fd, text.p, text.n, 0) == (ssize_t)text.n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return config_load(tables, out, path, errors);
}

/* The caller frees. */
static struct slice
print(const struct settings *settings)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	MUST(to != NULL);
	config_print(tables, settings, to);
	fclose(to);
	return slice_of(text, n);
}

static void
check_round_trip(const struct settings *first)
{
	struct slice printed = print(first);
	struct settings second;
	struct slice again;

	MUST(load(printed, &second, NULL));
	MUST(slice_eq(slice_str(first->text), slice_str(second.text)));
	MUST(first->number == second.number);
	MUST(first->bytes == second.bytes);
	MUST(first->truth == second.truth);
	MUST(first->choice == second.choice);
	again = print(&second);
	MUST(slice_eq(printed, again));
	config_release(tables, &second);
	free((char *)printed.p);
	free((char *)again.p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf errors = STRBUF_INIT(1 << 16);
	struct settings settings;

	if (load(slice_of((const char *)data, size), &settings, &errors)) {
		MUST(errors.n == 0);
		check_round_trip(&settings);
		config_release(tables, &settings);
	} else {
		MUST(errors.n > 0 || !strbuf_ok(&errors));
		MUST(settings.text == NULL && settings.url == NULL);
	}
	strbuf_release(&errors);
	return 0;
}
