/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Text that is to stay one line.
 */
#ifndef BASE_ONELINE_H
#define BASE_ONELINE_H

/* Bytes that would break a line, or have a terminal do something, become '?'. */
static inline void make_one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

#endif
