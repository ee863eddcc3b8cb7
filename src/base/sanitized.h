/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Is this built with AddressSanitizer? Then memory that is left at the end of the
 * process counts as lost, and memory can be closed to all.
 */
#ifndef BASE_SANITIZED_H
#define BASE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#endif
