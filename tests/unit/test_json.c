/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The JSON writer: both layouts, and what is escaped.
 */
#include "json.h"
#include "unit.h"

static char *text;
static size_t size;

static struct json start(enum json_layout layout)
{
	struct json json;
	FILE *out = open_memstream(&text, &size);

	CHECK(out);
	json_init(&json, out, layout);
	return json;
}

static void check_and_free(struct json *json, const char *wanted)
{
	CHECK(fclose(json->out) == 0);
	if (strcmp(text, wanted))
		fprintf(stderr, "got %s\nnot %s\n", text, wanted);
	CHECK(strcmp(text, wanted) == 0);
	free(text);
}

static void write_all_kinds(struct json *json)
{
	json_open(json, NULL, '{');
	json_number(json, "n", UINT64_MAX);
	json_bool(json, "b", true);
	json_text(json, "t", NULL);
	json_bytes(json, "d", "\0\xff", 2);
	json_open(json, "o", '{');
	json_close(json, '}');
	json_open(json, "a", '[');
	json_text(json, NULL, "x");
	json_open(json, NULL, '{');
	json_bool(json, "b", false);
	json_close(json, '}');
	json_close(json, ']');
	json_close(json, '}');
}

static void an_object_is_a_line(void)
{
	struct json json = start(JSON_LINE);

	write_all_kinds(&json);
	write_all_kinds(&json);
	CHECK(fflush(json.out) == 0);
	CHECK(memcmp(text, text + size / 2, size / 2) == 0); /* each begins anew */
	fclose(json.out);
	free(text);
	json = start(JSON_LINE);
	write_all_kinds(&json);
	check_and_free(&json, "{\"n\":18446744073709551615,\"b\":true,\"t\":null,\"d\":\"AP8=\","
			      "\"o\":{},\"a\":[\"x\",{\"b\":false}]}\n");
}

static void an_object_is_indented(void)
{
	struct json json = start(JSON_INDENTED);

	write_all_kinds(&json);
	check_and_free(&json, "{\n  \"n\": 18446744073709551615,\n  \"b\": true,\n  \"t\": null,\n"
			      "  \"d\": \"AP8=\",\n  \"o\": {},\n  \"a\": [\n    \"x\",\n    {\n"
			      "      \"b\": false\n    }\n  ]\n}\n");
}

/* Every byte alone, and between others. */
static void texts_are_utf8_without_controls(void)
{
	for (unsigned c = 1; c < 256; c++) {
		const char one[] = {(char)c, '\0'};
		const char between[] = {'a', (char)c, (char)0xc3, (char)0xa4, '\0'};
		char escaped[8], wanted[40];
		struct json json = start(JSON_LINE);

		if (c < 0x20)
			(void)snprintf(escaped, sizeof(escaped), "\\u%04x", c);
		else
			(void)snprintf(escaped, sizeof(escaped),
				       c >= 0x80                ? "\\ufffd"
				       : strchr("\"\\", (int)c) ? "\\%c"
								: "%c",
				       c);
		json_open(&json, NULL, '[');
		json_text(&json, NULL, one);
		json_text(&json, NULL, between);
		json_close(&json, ']');
		(void)snprintf(wanted, sizeof(wanted), "[\"%s\",\"a%s\xc3\xa4\"]\n", escaped,
			       escaped);
		check_and_free(&json, wanted);
	}
}

UNIT_MAIN(UNIT(an_object_is_a_line), UNIT(an_object_is_indented),
	  UNIT(texts_are_utf8_without_controls))
