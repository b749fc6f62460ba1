/**
 * Small pictures made with Pillow 11.3, and what Pillow decodes of them (RGB): size, the first three pixels, the last one, the sum of all
 * values.
 */
export interface SmallPicture {
  readonly name: string;
  readonly base64: string;
  readonly width: number;
  readonly height: number;
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly sum: number;
}

export const SMALL: readonly SmallPicture[] = [
  {
    name: "JPEG",
    base64:
      "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAQABQDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDxzw1a/c4r1jw1a/c4rhfDVr9zivWPDVr9ziuXMuI99THGZf5HV2Fr/oy8UVvWFr/oy8UV8nLiPV6nhPL9dj//2Q==",
    width: 20,
    height: 16,
    first: [0, 4, 124, 3, 13, 128, 13, 24, 132],
    last: [202, 248, 53],
    sum: 100435,
  },
  {
    name: "progressive JPEG",
    base64:
      "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wgARCAAQABQDAREAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAABgf/xAAYAQEAAwEAAAAAAAAAAAAAAAAEAgMFBv/aAAwDAQACEAMQAAABG6VSzPKlEaex6BYAqUJv/8QAFxABAQEBAAAAAAAAAAAAAAAAAgAEIv/aAAgBAQABBQLMbMYHnMbMYHn/xAAXEQADAQAAAAAAAAAAAAAAAAAAAgMB/9oACAEDAQE/AXmPM2Y8x5mzP//EABgRAAMBAQAAAAAAAAAAAAAAAAADBAIh/9oACAECAQE/AWUDKDVHRlAyg1R0/8QAFBABAAAAAAAAAAAAAAAAAAAAIP/aAAgBAQAGPwJf/8QAFhABAQEAAAAAAAAAAAAAAAAAADEh/9oACAEBAAE/IYosyKLM/9oADAMBAAIAAwAAABCYev8A/8QAFhEBAQEAAAAAAAAAAAAAAAAAECEA/9oACAEDAQE/EAKIU3//xAAWEQEBAQAAAAAAAAAAAAAAAAAAYVH/2gAIAQIBAT8Quu1LrtT/xAAWEAEBAQAAAAAAAAAAAAAAAAAAUUH/2gAIAQEAAT8QlSspKlZT/9k=",
    width: 20,
    height: 16,
    first: [1, 1, 133, 6, 10, 136, 13, 22, 141],
    last: [198, 253, 38],
    sum: 100375,
  },
  {
    name: "grey JPEG",
    base64:
      "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/wAALCAAQABQBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/APHPDVr9zivWPDVr9zivSbC1/wBGXivnzw1a/c4r1jw1a/c4r0mwtf8ARl4r/9k=",
    width: 20,
    height: 16,
    first: [16, 16, 16, 23, 23, 23, 33, 33, 33],
    last: [212, 212, 212],
    sum: 109719,
  },
  {
    name: "PNG",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAIAAADUVFKvAAAAO0lEQVR4nAEwAM//APjCvpMa7fXT7wWdnzbsbQDHUiAkB4Y5kggODxaQ0BgABykLO2jh4skIGhujISnJF00TXygZKmMAAAAASUVORK5CYII=",
    width: 5,
    height: 3,
    first: [248, 194, 190, 147, 26, 237, 245, 211, 239],
    last: [33, 41, 201],
    sum: 4958,
  },
  {
    name: "PNG with alpha",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAYAAABbNsX4AAAASklEQVR4nAE/AMD/APjCvs+TGu0V9dPvLQWdnzw27G0uAMdSIM0kB4beOZIIlQ4PFgqQ0BgYAQcpC1U0P9YZp2EnMThSm9sHDibJbaIYNmJTY7EAAAAASUVORK5CYII=",
    width: 5,
    height: 3,
    first: [248, 194, 190, 147, 26, 237, 245, 211, 239],
    last: [33, 41, 201],
    sum: 4958,
  },
  {
    name: "PNG with a palette",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADAgMAAAAmWC1rAAAADFBMVEW30nIoiINoJ5cQHEHcQuWMAAAAEUlEQVR4nGNQdGAwZ2C41AAABggB69Cp+qEAAAAASUVORK5CYII=",
    width: 5,
    height: 3,
    first: [183, 210, 114, 104, 39, 151, 183, 210, 114],
    last: [104, 39, 151],
    sum: 4972,
  },
  {
    name: "PNG of one bit",
    base64: "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADAQAAAABzTfhVAAAADklEQVR4nGNYwaDBJAEAA+IA6/8I6D0AAAAASUVORK5CYII=",
    width: 5,
    height: 3,
    first: [255, 255, 255, 0, 0, 0, 255, 255, 255],
    last: [0, 0, 0],
    sum: 4590,
  },
  {
    name: "WebP",
    base64:
      "UklGRl4AAABXRUJQVlA4IFIAAAAQBACdASoUABAAPrUwqVCnIiSjGADgFolsAJ0yglgACVCH8s3WIIhyAAD+9JCI01+nS6Ui2p9eOCHcqL6i8xHa7fXsZoMq6wTsNLV42TOU3gAA",
    width: 20,
    height: 16,
    first: [18, 8, 139, 22, 15, 142, 24, 25, 143],
    last: [199, 251, 46],
    sum: 100394,
  },
  {
    name: "lossless WebP",
    base64:
      "UklGRpwAAABXRUJQVlA4TI8AAAAvBIAAEHegtNaOTRMdVbeDKNvWMjbQJN/PLGoi2Wp+6AKxRAfKEIYVlFBRxRk1kSQpFi6i6DSA/3fBKRv4XFFt29T8/eq8ED8SGElgJocyIqighAbWCvIIsr9BSW/30JHZO9+aw0WXLv7W/pSBHWZw/lZje3unqF8oaCSp+d4RhAeE4BA9uIrof7yrZ9XfBAA=",
    width: 5,
    height: 3,
    first: [248, 194, 190, 147, 26, 237, 245, 211, 239],
    last: [33, 41, 201],
    sum: 4958,
  },
  {
    name: "BMP",
    base64:
      "Qk1mAAAAAAAAADYAAAAoAAAABQAAAAMAAAABABgAAAAAADAAAADEDgAAxA4AAAAAAAAAAAAACykH4Wg7CMnioxsaySkhACBSx4YHJAiSORYPDhjQkAC+wvjtGpPv0/WfnQVt7DYA",
    width: 5,
    height: 3,
    first: [248, 194, 190, 147, 26, 237, 245, 211, 239],
    last: [33, 41, 201],
    sum: 4958,
  },
  {
    name: "BMP with a palette",
    base64:
      "Qk1eAAAAAAAAAEYAAAAoAAAABQAAAAMAAAABAAgAAAAAABgAAADEDgAAxA4AAAQAAAAEAAAActK3AIOIKACXJ2gAQRwQAAMBAAICAAAAAAMBAwAAAAAAAgABAQAAAA==",
    width: 5,
    height: 3,
    first: [183, 210, 114, 104, 39, 151, 183, 210, 114],
    last: [104, 39, 151],
    sum: 4972,
  },
  {
    name: "BMP of one bit",
    base64: "Qk1KAAAAAAAAAD4AAAAoAAAABQAAAAMAAAABAAEAAAAAAAwAAADEDgAAxA4AAAIAAAACAAAAAAAAAP///wBAAAAAKAAAAKgAAAA=",
    width: 5,
    height: 3,
    first: [255, 255, 255, 0, 0, 0, 255, 255, 255],
    last: [0, 0, 0],
    sum: 4590,
  },
];
