/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A tag stands where a moment can stand on a command line, so it must not read as
 * another one, nor as an option.
 */
#include "tagname.h"

#include <string.h>

#include "utf8.h"
#include "when.h"

const char *tagname_wrong(const char *name)
{
	const size_t len = strlen(name);
	struct when when;
	size_t n;

	if (!len)
		return "it is empty";
	if (len > TAGNAME_MOST)
		return "it is longer than 255 bytes";
	for (size_t at = 0; at < len; at += n) {
		n = utf8_shown(name + at, len - at);
		if (!n)
			return "it is not UTF-8 that a terminal shows in one line";
	}
	if (name[0] == ' ' || name[len - 1] == ' ')
		return "it begins or ends with a blank";
	if (name[0] == '-' || name[0] == '@')
		return "it begins with - or @";
	return when_parse(name, &when) ? "it reads as a txid or a time" : NULL;
}
