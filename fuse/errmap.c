/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The one table from the library's errors to what a program sees.
 */
#include "errmap.h"

#include "datawal.h"

int errno_of(int code)
{
	switch (code) {
	case 0:
		return 0;
	case DWAL_ABSENT:
		return ENOENT;
	case DWAL_ELOCKED:
	case DWAL_EUNSTABLE:
		return EBUSY;
	case DWAL_EUNSYNCED:
		return FS_PUT_OFF;
	case DWAL_EREADONLY:
		return EROFS;
	case DWAL_EKEYSIZE:
		return ENAMETOOLONG;
	case DWAL_EPAYLOADSIZE:
		return EFBIG;
	case DWAL_ESEGMENTS:
		return ENOSPC;
	case DWAL_ECORRUPT:
	case DWAL_EPOISONED:
	case DWAL_EBEHIND:
	case DWAL_ETARGET:
	case DWAL_ENOTFILE:
	case DWAL_EGONE:
	case DWAL_EHORIZON:
		return EIO;
	}
	return code < 0 && code > -4096 ? -code : EIO;
}
